"""What every method must keep: shapes, zero on padding, no hook left, eval mode, the same bits again."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from asked import CONTEXT, Net, convolutional, hooks, linear, pictures, reader, rows, texts

from auditor.errors import NotApplicable, UsageError
from auditor.methods.attribution.explain import METHODS, explain, method_of


def asked(modality: str) -> tuple[Net, Any, torch.Tensor]:
    if modality == "image":
        return Net(convolutional()), pictures(), torch.tensor([0, 3, 1, 2, 0])
    if modality == "text":
        return reader(), texts(), torch.tensor([0, 1, 2])
    return linear()[0], rows(), torch.zeros(6, dtype=torch.long)


CASES = [(name, modality) for name in METHODS for modality in ("image", "text", "tabular")]
CONTEXTS = replace(CONTEXT, background=rows(9))


@pytest.mark.parametrize(("name", "modality"), CASES)
def test_a_method_leaves_the_model_as_it_found_it_and_repeats_bit_for_bit(name: str, modality: str) -> None:
    net, inputs, targets = asked(modality)
    before = {key: value.clone() for key, value in net.module.state_dict().items()}
    try:
        first = explain(name, net, inputs, targets, CONTEXTS)
    except NotApplicable as error:
        assert len(str(error)) > 20
    else:
        again = explain(name, net, inputs, targets, CONTEXTS)
        assert torch.equal(first.values, again.values) and torch.isfinite(first.values).all()
        n = len(targets)
        assert first.values.ndim == (3 if modality == "image" else 2) and len(first.values) == n
        assert all(column.shape == (n,) for column in first.facts.values())
        assert first.values.any()
        assert modality != "text" or not first.values[inputs["attention_mask"] == 0].any()
        assert method_of(name).signed or first.values.min() >= 0
    assert hooks(net.module) == 0 and not net.module.training
    assert all(torch.equal(before[key], value) for key, value in net.module.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.module.parameters())


def test_an_unknown_method_lists_those_there_are() -> None:
    with pytest.raises(UsageError) as error:
        method_of("saliancy")
    assert "saliency" in error.value.hint


@pytest.mark.parametrize("name", ["occlusion", "rise", "shap", "lime", "integrated_gradients", "random"])
def test_a_text_of_special_tokens_alone_has_an_empty_map(name: str) -> None:
    """Nothing in it can be taken away; the text beside it is explained as ever."""
    inputs = {"input_ids": torch.tensor([[1, 2, 0, 0], [1, 5, 9, 2]]),
              "attention_mask": torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])}  # fmt: skip
    found = explain(name, reader(), inputs, torch.tensor([0, 1]), CONTEXT).values
    assert torch.isfinite(found).all() and found[1, 1:3].any() and not found[0, 2:].any()
    assert name == "random" or not found[0].any()
