"""What is frozen stays as it is, statistics included; adapters train beside it and are merged for the audit."""

import copy
import sys
from typing import Any

import numpy as np
import pytest
import torch
from test_resuming import Clouds

from auditor.errors import SourceError
from auditor.methods.training.adapters import adapt, merged, plain_name
from auditor.methods.training.frozen import freeze, still_layers
from auditor.methods.training.recipe import Settings
from auditor.methods.training.scratch import Scratch
from auditor.methods.training.train import train


def net() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU())
        return torch.nn.ModuleDict({"body": body, "head": torch.nn.Linear(8, 2)})


def forward_of(module: Any) -> Any:
    return lambda inputs: module["head"](module["body"](inputs))


def trained(module: Any, frozen: tuple[str, ...] = (), scratch: Any = None, **recipe: Any) -> Any:
    settings = Settings(**{"steps": 12, "batch_size": 8, "record_every": 4, "lr": 1e-2, **recipe})
    return train(
        module, forward_of(module), Clouds(), Clouds(20, 2), settings, 7, frozen=frozen,
        scratch=Scratch(scratch) if scratch else None,
    )  # fmt: skip


def test_frozen_parts_and_their_statistics_stay() -> None:
    module = net()
    before = copy.deepcopy(module.state_dict())
    names = freeze(module, ["body.*"], "m")
    assert names == ("body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias")
    assert still_layers(module) == (module.get_submodule("body.1"),)
    run = trained(module, names)
    assert run.frozen == names
    assert run.changes.trained.tolist() == [False] * 4 + [True] * 2
    moved = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"head.weight", "head.bias"}


def test_a_layer_of_which_a_part_still_trains_keeps_counting() -> None:
    module = net()
    freeze(module, ["body.1.weight"], "m")
    assert still_layers(module) == ()


@pytest.mark.parametrize(
    ("globs", "message"),
    [(["backbone.*"], "no parameter is named like 'backbone"), (["*"], "nothing is left to train")],
)
def test_globs_that_cannot_be_meant_are_errors(globs: list[str], message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        freeze(net(), globs, "m")
    assert caught.value.hint


def lora(targets: tuple[str, ...] = ("body.0",), also: tuple[str, ...] = ("head",), rank: int = 2) -> torch.nn.Module:
    module = net()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        adapt(module, rank, 4.0, targets, also, "m")
    return module


def test_adapters_begin_as_the_model_that_they_are_put_beside() -> None:
    plain, module = net().eval(), lora().eval()
    inputs = Clouds().inputs
    torch.testing.assert_close(forward_of(module)(inputs), forward_of(plain)(inputs))
    assert {name: value.shape for name, value in merged(module).items()} == {
        name: value.shape for name, value in plain.state_dict().items()
    }
    assert merged(plain).keys() == plain.state_dict().keys()


def test_what_is_kept_computes_what_was_trained() -> None:
    module, plain = lora(), net()
    run = trained(module)
    plain.load_state_dict({name: torch.as_tensor(value) for name, value in run.weights().items()}, strict=True)
    inputs = Clouds(20, 2).inputs
    torch.testing.assert_close(forward_of(plain.eval())(inputs), forward_of(module)(inputs), rtol=1e-5, atol=1e-6)
    assert (run.weights()["body.0.weight"] != net().state_dict()["body.0.weight"].numpy()).any()


def test_the_record_names_tensors_as_the_model_does_and_adapters_beside() -> None:
    module = lora()
    base = tuple(plain_name(name) for name, each in module.named_parameters() if not each.requires_grad)
    run = trained(module, base)
    assert run.frozen == base == ("body.0.weight", "body.0.bias", "body.1.weight", "body.1.bias")
    assert [name for name, kept in zip(run.changes.tensors, run.changes.trained, strict=True) if kept] == [
        "body.0.lora_A.default.weight", "body.0.lora_B.default.weight", "head.weight", "head.bias",
    ]  # fmt: skip
    assert run.changes.finite() and np.isfinite(run.changes.elementwise).all()


def test_adapters_go_on_after_a_kill(tmp_path: Any) -> None:
    class Killed(Exception):
        pass

    module = lora()

    def stop(step: int, said: str) -> None:
        if step == 10:
            raise Killed

    settings = Settings(steps=12, batch_size=8, record_every=4, lr=1e-2)
    with pytest.raises(Killed):
        train(module, forward_of(module), Clouds(), Clouds(20, 2), settings, 7, scratch=Scratch(tmp_path), on_step=stop)
    again, whole = trained(lora(), scratch=tmp_path), trained(lora())
    assert again.loss.tobytes() == whole.loss.tobytes()
    assert {n: v.tobytes() for n, v in again.weights().items()} == {n: v.tobytes() for n, v in whole.weights().items()}


def test_targets_that_cannot_be_meant_are_errors() -> None:
    with pytest.raises(SourceError, match=r"no linear layer or convolution is named like '\*\.query'"):
        lora(("body.0", "*.query"))
    module = torch.nn.ModuleDict({"a": torch.nn.Linear(3, 3), "b": torch.nn.Linear(3, 3)})
    module["b"].weight = module["a"].weight
    with pytest.raises(SourceError, match="a shares its weights with another layer"):
        adapt(module, 1, 1, ["a"], (), "m")


def test_a_name_does_not_match_the_end_of_another() -> None:
    module = torch.nn.ModuleDict({"x": torch.nn.ModuleDict({"fc": torch.nn.Linear(3, 3)}), "fc": torch.nn.Linear(3, 3)})
    adapt(module, 1, 1, ["fc"], (), "m")
    assert not any("x.fc.lora" in name for name, _ in module.named_parameters())


def test_convolutions_and_transposed_layers_of_transformers_merge_too() -> None:
    from transformers.pytorch_utils import Conv1D

    module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), Conv1D(2, 16))
    plain = copy.deepcopy(module)
    adapt(module, 2, 4, ["0", "2"], (), "m")
    with torch.no_grad():
        for name, each in module.named_parameters():
            if "lora_B" in name:
                each.normal_(generator=torch.Generator().manual_seed(0))
    plain.load_state_dict(merged(module), strict=True)
    inputs = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(plain(inputs), module(inputs), rtol=1e-5, atol=1e-5)


def test_without_peft_the_line_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(SourceError, match="need the package peft") as caught:
        lora()
    assert caught.value.hint == "pip install peft"
