"""Losses, gradients and likeness along a history, against a slow computation on the shipped checkpoints."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_trajectory import ASSETS, RUNTIME, digits, shipped, shop, tuned

from auditor.artifacts.stage_losses import asked_again
from auditor.methods.training.stage import seen
from auditor.sources import labels
from auditor.subject import Subject


def subject(n: int | None = None) -> Subject:
    ref = shipped()
    return Subject(model=ref, data=labels.match(ref, digits("test", n)), runtime=RUNTIME)


def test_the_shipped_checkpoints_are_asked_stage_by_stage(tmp_path: Path) -> None:
    made, needs = shop(tmp_path), asked_again(subject(), 70, 256)
    found = made.get(needs["losses"])
    assert found.steps == tuple(range(0, 201, 10))
    assert found.loss[-1] < 0.5 * found.loss[0]
    stages, loader = made.get(needs["losses"].stages), made.get(needs["losses"].batches)
    step, model = next(iter(stages.models()))
    batch = loader.take(list(loader.order[:70]))
    logits = model.logits(batch.inputs)
    loss = torch.nn.functional.cross_entropy(logits, batch.labels)
    assert step == 0
    assert found.loss[0] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert found.accuracy[0] == pytest.approx(float((logits.argmax(1) == batch.labels).float().mean()))
    wanted = [(name, each) for name, each in model.module.named_parameters()]
    slow = torch.autograd.grad(loss, [each for _, each in wanted])
    assert found.tensors == tuple(name for name, _ in wanted)
    np.testing.assert_allclose(found.gradient[0], [float(each.norm()) for each in slow], rtol=1e-4, atol=1e-7)
    alike = made.get(needs["alike"])
    np.testing.assert_allclose(alike.cka[-1], 1, atol=1e-6)
    assert (alike.cka[0] < 1).all()


def test_what_the_data_do_not_allow_is_not_asked() -> None:
    assert set(asked_again(subject(64), 70, 512)) == {"losses"}
    whole = subject()
    assert asked_again(whole.model_copy(update={"data": None}), 70, 512) == {}
    bare = whole.data.model_copy(update={"labelled": False})  # type: ignore[union-attr]
    assert set(asked_again(whole.model_copy(update={"data": bare}), 70, 512)) == {"alike"}
    assert set(asked_again(whole.model_copy(update={"model": tuned()}), 70, 512)) == {"losses", "alike"}
    assert ASSETS.is_dir()


def test_frozen_tied_and_unreached_parameters_are_left_as_they_were() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    net[1].weight = net[0].weight
    net[0].bias.requires_grad_(False)
    net.register_parameter("spare", torch.nn.Parameter(torch.ones(2)))
    inputs, targets = torch.randn(10, 3), torch.randn(10)
    found = seen(net, net, [(inputs[:4], targets[:4]), (inputs[4:], targets[4:])], "regression")
    assert set(found.gradient) == {"0.weight", "0.bias", "1.bias", "spare"}
    assert found.gradient["spare"] == 0 < found.gradient["0.bias"]
    assert not net[0].bias.requires_grad
    assert found.accuracy is None
    loss = (net(inputs)[:, 0] - targets).square().mean().detach()
    assert found.loss == pytest.approx(float(loss), rel=1e-5)
    with pytest.raises(ValueError, match="no rows"):
        seen(net, net, [], "regression")
