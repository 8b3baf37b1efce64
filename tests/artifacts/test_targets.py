"""Targets: each gives the score that it names, with its gradient; what does not fit is told beforehand."""

import doctest
import re
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auditor.artifacts import targets
from auditor.artifacts.explanations import maps_of
from auditor.artifacts.roots import AimedModel, Batches, Model, sweep_of
from auditor.artifacts.targets import FITTING, TargetName, aim_of, form_of, misfit
from auditor.checks.interpretability.faithfulness import Faithfulness
from auditor.checks.interpretability.randomization import Randomization
from auditor.checks.interpretability.saliency import Saliency
from auditor.checks.interpretability.sensitivity import Sensitivity
from auditor.errors import NotApplicable, UsageError
from auditor.execute.sweep import sweep
from auditor.needs import Live, Probe
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject
from tests.tiny import WORDS, save_all

TEXTS = ["a good film", "bad", "the very very good film a", "very bad film"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("targets")
    save_all(root)
    (root / "texts.csv").write_text("text\n" + "\n".join(TEXTS) + "\n")
    return root


def subject_of(root: Path, name: str) -> Subject:
    ref = models.describe(ModelEntry(name="m", source="transformers", options={"path": name}), root)
    rows = data.describe(DataEntry(name="d", source="csv", options={"path": "texts.csv", "text": "text"}), root)
    return Subject(model=ref, data=labels.match(ref, rows), runtime=Runtime(batch_size=4))


def live(root: Path, subject: Subject, target: str) -> tuple[Any, Any, Any]:
    """The model, its view and the loader."""
    made = sweep_of(subject, target)
    assert isinstance(made.model, AimedModel) and isinstance(made.batches, Batches)
    assert isinstance(made.model.model, Model)
    model, loader = made.model.model.load(root), made.batches.load(root)
    return model, made.model.load(root, model=model, batches=loader), loader


@pytest.mark.parametrize("name", ["gpt", "masked"])
@pytest.mark.parametrize("target", ['token:"good"', "token:good"])
def test_a_tokens_logit(root: Path, name: str, target: str) -> None:
    model, view, loader = live(root, subject_of(root, name), target)
    inputs = loader.batch(range(4)).inputs
    expected = model.logits(inputs)[:, WORDS.index("good")]
    torch.testing.assert_close(view.logits(inputs), expected[:, None])
    leaf, fed = view.gradient_inputs(inputs)
    (mine,) = torch.autograd.grad(view.logits(fed).sum(), leaf)
    leaf, fed = model.gradient_inputs(inputs)
    (theirs,) = torch.autograd.grad(model.logits(fed)[:, WORDS.index("good")].sum(), leaf)
    torch.testing.assert_close(mine, theirs)


def test_a_word_that_is_no_token_is_told_with_its_pieces(root: Path) -> None:
    subject = subject_of(root, "masked")
    assert live(root, subject, "token:##s")[1].column == WORDS.index("##s")
    with pytest.raises(UsageError, match=r"no single token of this vocabulary, but 2: film, ##s(.|\n)*Near it: film"):
        live(root, subject, "token:films")
    with pytest.raises(UsageError, match="but 1: "):
        live(root, subject, "token:unheard")


def test_a_unit_of_a_layer_is_its_mean_over_own_tokens(root: Path) -> None:
    model, view, loader = live(root, subject_of(root, "encoder"), "unit:encoder.layer.0.output.dense[3]")
    inputs, kept = loader.batch(range(4)).inputs, {}
    layer = model.module.get_submodule("encoder.layer.0.output.dense")
    handle = layer.register_forward_hook(lambda part, args, output: kept.update(output=output.detach()))
    model.logits(inputs)
    handle.remove()
    own = inputs["attention_mask"].bool()
    oracle = [float(kept["output"][row, own[row], 3].mean()) for row in range(4)]
    np.testing.assert_allclose(view.logits(inputs)[:, 0].detach().numpy(), oracle, rtol=1e-5)
    leaf, fed = view.gradient_inputs(inputs)
    assert torch.autograd.grad(view.logits(fed).sum(), leaf)[0].abs().sum() > 0
    assert not layer._forward_hooks
    with pytest.raises(UsageError, match=r"has 16 units(.|\n)*Use \[0\] to \[15\]"):
        live(root, subject_of(root, "encoder"), "unit:encoder.layer.0.output.dense[16]")[1].logits(inputs)
    with pytest.raises(UsageError, match=r"target output\[16\]: the model has 16 outputs"):
        live(root, subject_of(root, "encoder"), "output[16]")[1].logits(inputs)
    with pytest.raises(UsageError, match=r"no layer of that name(.|\n)*Nearest: encoder\.layer"):
        live(root, subject_of(root, "encoder"), "unit:encoder.layers.0[0]")


def test_a_unit_of_a_picture_is_its_mean_over_places(root: Path) -> None:
    from auditor.artifacts.aimed import aimed

    ref = models.describe(ModelEntry(name="m", source="transformers", options={"path": "res"}), root)
    model, pictures = models.load(ref, root), torch.rand(2, 3, 32, 32)
    view = aimed(model, None, aim_of("unit:encoder.stages.1[5]"))
    torch.testing.assert_close(view.logits(pictures)[:, 0], model.module(pictures).last_hidden_state[:, 5].mean((1, 2)))
    view = aimed(model, None, aim_of("unit:pooler[5]"))
    torch.testing.assert_close(view.logits(pictures)[:, 0], model.module(pictures).pooler_output[:, 5, 0, 0])
    idle = aimed(model, None, aim_of("unit:encoder.stages[0]"))
    with pytest.raises(NotApplicable, match="did not run"):
        idle.logits(pictures)


@pytest.mark.parametrize("reference", ["a good film", "#0"])
def test_similarity_to_a_reference(root: Path, reference: str) -> None:
    model, view, loader = live(root, subject_of(root, "encoder"), f"similarity:{reference}")
    inputs = loader.batch(range(4)).inputs
    held = loader.batch(range(1)).inputs if reference == "#0" else loader.encoder.encode([reference])
    with torch.no_grad():
        states, one = model.logits(inputs).numpy(), model.logits(held).numpy()[0]
    cosine = states @ one / np.linalg.norm(states, axis=1) / np.linalg.norm(one)
    np.testing.assert_allclose(view.logits(inputs)[:, 0].detach().numpy(), cosine, rtol=1e-4)
    assert max(view.logits(inputs)[:, 0].tolist()) == pytest.approx(1, abs=1e-4)
    with pytest.raises(UsageError, match="has 4 rows"):
        live(root, subject_of(root, "encoder"), "similarity:#4")


@pytest.mark.parametrize(("name", "target"), [("gpt", "predicted"), ("gpt", "token:good"), ("masked", "predicted"),
                                              ("encoder", "similarity:a good film"), ("encoder", "output[2]"),
                                              ("regression", "predicted"), ("regression", "output[0]")])  # fmt: skip
def test_saliency_of_every_task_through_the_sweep(root: Path, name: str, target: str) -> None:
    subject = subject_of(root, name)
    check = Saliency(rows=4, target=target)
    assert check.applies(subject) is None
    need: Any = check.needs(subject)["maps"]
    made = need.sweep
    if isinstance(made.model, AimedModel):
        _, view, loader = live(root, subject, target)
    else:
        view = made.model.load(root)
        loader = made.batches.load(root)
    maps = sweep([need], view, loader)[need.key]
    found = check.measure(maps=maps)
    assert maps.maps.shape[0] == 4 and (maps.maps.sum(1) > 0).all()
    one = loader.batch(range(1)).inputs
    leaf, fed = view.gradient_inputs(one)
    (slope,) = torch.autograd.grad(view.logits(fed)[0, maps.explained.targets[0]], leaf)
    length = int(maps.lengths[0])
    np.testing.assert_allclose(maps.maps[0, :length], slope[0].norm(dim=-1).numpy()[:length], rtol=1e-3, atol=1e-7)
    caption = found.blocks[0].texts[0].label  # type: ignore[union-attr]  # texts are shown as tokens
    if name in ("gpt", "masked"):
        word = "good" if target == "token:good" else WORDS[int(maps.explained.predicted[0])]
        assert word in caption and not caption.startswith("class")
    else:
        assert re.fullmatch(r".+ -?[\d.e-]+", caption)


def test_derived_maps_ask_the_view(root: Path) -> None:
    need: Any = maps_of(subject_of(root, "gpt"), "smoothgrad", 4, "token:good")
    assert isinstance(need.needs()["model"], AimedModel)
    assert need.key != maps_of(subject_of(root, "gpt"), "smoothgrad", 4, "token:bad").key


def test_what_does_not_fit_names_what_does(root: Path) -> None:
    for name, task in (("gpt", "causal_lm"), ("encoder", "encoder"), ("regression", "regression")):
        subject = subject_of(root, name)
        for target in ("predicted", "label", "class:1", "token:x", "unit:a[0]", "similarity:x", "output[0]"):
            told = misfit(subject, target)
            fits = form_of(target) in FITTING[subject.model.task]
            assert (told is None) == fits, (name, target, told)
            assert fits or ", ".join(FITTING[subject.model.task]) in str(told), task
    wide = subject_of(root, "regression")
    wide = wide.model_copy(update={"model": wide.model.model_copy(update={"outputs": 3})})
    assert "output[0] to output[2]" in str(misfit(wide, "predicted")) and misfit(wide, "output[2]") is None
    assert "has 3 outputs, output[0] to output[2]" in str(misfit(wide, "output[3]"))
    told = Saliency(target="token:x").applies(wide)
    assert told is not None and "use one of predicted, output[i], unit:LAYER[i]" in told


def test_class_numbers_and_labels_are_checked_beforehand(root: Path) -> None:
    plain = subject_of(root, "regression")
    net = plain.model.model_copy(update={"task": "classification", "outputs": 2, "classes": ("a", "b")})
    subject = plain.model_copy(update={"model": net})
    assert misfit(subject, "class:1") is None and "class:0 to class:1" in str(misfit(subject, "class:2"))
    assert "needs labels" in str(misfit(subject, "label"))


def test_the_spec_takes_these_names_only() -> None:
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(TargetName)
    for good in (
        "predicted",
        "label",
        "class:12",
        'token:"x y"',
        "unit:a.0.conv[7]",
        "similarity:#3",
        "output[0]",
    ):
        assert adapter.validate_python(good) == good
    for bad in ("best", "class:", "class:x", "unit:layer", "unit:[3]", "output", "token:", "predicted "):
        with pytest.raises(ValidationError):
            adapter.validate_python(bad)
        with pytest.raises(ValueError, match="no target"):
            aim_of(bad)
    assert doctest.testmod(targets).failed == 0


def made(need: Any, root: Path, memo: dict[str, Any]) -> Any:
    """The artifact of a need, with all that it is built from."""
    if need.key not in memo:
        upstream = {name: made(each, root, memo) for name, each in need.needs().items()}
        if isinstance(need, Probe):
            memo[need.key] = sweep([need], upstream["model"], upstream["batches"])[need.key]
        elif isinstance(need, Live):
            memo[need.key] = need.load(root, **upstream)
        else:
            memo[need.key] = need.build(**upstream)
    return memo[need.key]


@pytest.mark.parametrize(("name", "target"), [("gpt", "token:good"),
                                              ("encoder", "similarity:a good film"), ("regression", "predicted"),
                                              ("encoder", "unit:encoder.layer.1[3]")])  # fmt: skip
def test_trust_checks_take_every_target(root: Path, name: str, target: str) -> None:
    subject = subject_of(root, name)
    faithful = Faithfulness(methods=("saliency", "input_x_gradient"), rows=4, target=target, steps=4, nulls=8, groups=3)
    for check in (faithful, Randomization(rows=4, target=target), Sensitivity(rows=4, target=target)):
        assert check.applies(subject) is None
        needs = {key: made(need, root, {}) for key, need in check.needs(subject).items()}
        more = {"seed": 1} if "seed" in signature(check.measure).parameters else {}
        found = check.measure(**needs, **more)
        assert found.measurements and all(np.isfinite(each.value) for each in found.measurements)
    single = aim_of(target).kind != "plain" or name == "regression"
    told = Faithfulness(target=target, scale="probability").applies(subject)
    assert (told is not None) == single
