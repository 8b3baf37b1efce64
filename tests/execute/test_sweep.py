"""One sweep serves all its probes: passes are counted, faults stay with their own probe, the model is left alone."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from auditor.artifacts.predictions import Predictions, PredictionsProbe
from auditor.errors import NotApplicable
from auditor.evidence import Failure
from auditor.execute.sweep import cut, sweep
from auditor.needs import Collector, Need, Probe, Step, Sweep, Tap, Target

INPUT = Tap("input_gradient")
AUTO = Tap("activation", "auto"), Tap("activation_gradient", "auto")


@dataclass(frozen=True)
class Root(Need[Any]):
    """Stands for the model or the batches in content addresses."""

    name: str = "root"
    rows: int = 256
    batch_size: int = 32


@dataclass(frozen=True)
class FakeBatch:
    inputs: torch.Tensor
    labels: torch.Tensor
    examples: tuple[str, ...]
    groups: tuple[str, ...]


@dataclass
class FakeLoader:
    """Seeded noise pictures in batches; counts what was read."""

    rows: int = 256
    batch_size: int = 32
    read: int = 0
    poison: int | None = None

    def remarks(self, rows: int) -> tuple[str, ...]:
        return (f"said of {rows} rows",)

    def __iter__(self) -> Iterator[FakeBatch]:
        pictures = torch.randn(self.rows, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        if self.poison is not None:
            pictures[self.poison] = float("nan")
        for start in range(0, self.rows, self.batch_size):
            stop = min(start + self.batch_size, self.rows)
            self.read += 1
            names = tuple(f"x{row}" for row in range(start, stop))
            yield FakeBatch(pictures[start:stop], torch.arange(start, stop) % 4, names, ("",) * (stop - start))


class Net(nn.Module):
    """A small CNN with an in-place ReLU behind its batch norm; counts forwards, and backwards by a gradient hook."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(inplace=True)
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(5, 4)
        self.forwards = self.backwards = 0
        self.memory = 10**9

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.memory:
            raise torch.OutOfMemoryError("no room")
        self.forwards += 1
        out: torch.Tensor = self.head(self.pool(self.relu(self.norm(self.conv(x)))).flatten(1))
        if out.requires_grad:
            out.register_hook(self._count)
        return out

    def _count(self, grad: torch.Tensor) -> None:
        self.backwards += 1


@dataclass
class FakeModel:
    module: Net

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.module(inputs)
        return found

    def gradient_inputs(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        leaf = inputs.detach().clone().requires_grad_(True)
        return leaf, leaf


@dataclass
class Taker(Collector[dict[str, np.ndarray]]):
    """Keeps every tap; raises at the row that it is told to."""

    fault: int | None = None
    taken: dict[str, list[np.ndarray]] = field(default_factory=dict)
    halved: int = 0

    def see(self, step: Step) -> None:
        if self.fault is not None and step.start >= self.fault:
            raise ValueError("a collector's own fault")
        self.halved = step.halved
        for tap, tensor in step.taps.items():
            self.taken.setdefault(f"{tap.kind}:{step.layers.get(tap, '')}", []).append(tensor.numpy())
        self.taken.setdefault("logits", []).append(step.logits.numpy())

    def result(self) -> dict[str, np.ndarray]:
        return {name: np.concatenate(parts) for name, parts in self.taken.items()} | {"halved": np.array(self.halved)}


@dataclass(frozen=True)
class Taking(Probe[dict[str, np.ndarray]]):
    fault: int | None = None
    refuses: str = ""

    def collect(self) -> Collector[dict[str, np.ndarray]]:
        if self.refuses:
            raise NotApplicable(self.refuses)
        return Taker(self.fault)


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def asked(*taps: Tap, rows: int | None = None, target: str = "predicted", **extra: Any) -> Taking:
    return Taking(Sweep(Root("model"), Root("batches"), Target(target)), frozenset(taps), rows, **extra)


def predictions(rows: int | None = None) -> PredictionsProbe:
    return PredictionsProbe(Sweep(Root("model"), Root("batches"), Target("predicted")), rows=rows)


def run(net: Net, *probes: Probe[Any], loader: FakeLoader | None = None) -> list[Any]:
    found = sweep(probes, FakeModel(net), loader or FakeLoader())
    return [found[probe.key] for probe in probes]


def test_three_questions_take_eight_forwards_and_one_backward(net: Net) -> None:
    said, saliency, cam = run(net, predictions(), asked(INPUT, rows=32), asked(*AUTO, rows=32))
    assert (net.forwards, net.backwards) == (8, 1)
    assert isinstance(said, Predictions) and said.logits.shape == (256, 4)
    assert said.remarks == ("said of 256 rows",)
    assert saliency["input_gradient:"].shape == (32, 3, 8, 8)
    assert cam["activation:relu"].shape == cam["activation_gradient:relu"].shape == (32, 5, 6, 6)


def test_a_batch_that_nobody_wants_is_not_read(net: Net) -> None:
    loader = FakeLoader()
    run(net, asked(INPUT, rows=40), loader=loader)
    assert (loader.read, net.forwards, net.backwards) == (2, 2, 2)


def test_collectors_see_the_rows_they_asked_for(net: Net) -> None:
    short, long = run(net, asked(INPUT, rows=40), asked(INPUT, rows=70))
    assert len(short["logits"]) == 40 and len(long["logits"]) == 70
    np.testing.assert_array_equal(short["input_gradient:"], long["input_gradient:"][:40])


def test_what_else_is_asked_changes_no_bit(net: Net) -> None:
    (alone,) = run(net, predictions(rows=40))
    together, _ = run(net, predictions(), asked(INPUT, *AUTO, rows=256))
    np.testing.assert_array_equal(alone.logits, together.logits[:40])


def test_a_failing_collector_fails_alone(net: Net) -> None:
    said, bad, good = run(net, predictions(), asked(INPUT, rows=64, fault=32), asked(INPUT, rows=64))
    assert isinstance(bad, Failure) and "a collector's own fault" in bad.message
    assert isinstance(said, Predictions) and len(good["input_gradient:"]) == 64


def test_a_collector_that_refuses_does_not_apply(net: Net) -> None:
    refused, good = run(net, asked(refuses="only for texts"), asked(rows=32))
    assert refused == Failure(kind="not_applicable", message="only for texts")
    assert len(good["logits"]) == 32


def test_a_layer_that_is_not_there_names_its_neighbours(net: Net) -> None:
    wrong, said = run(net, asked(Tap("activation", "norn"), rows=32), predictions())
    assert isinstance(wrong, Failure) and "'norn'" in wrong.message and "norm" in wrong.hint
    assert isinstance(said, Predictions)


def test_logits_that_are_not_finite_fail_only_who_uses_them(net: Net) -> None:
    first, every = run(net, asked(INPUT, rows=32), predictions(), loader=FakeLoader(poison=100))
    assert len(first["input_gradient:"]) == 32
    assert isinstance(every, Failure) and "1 of 32 examples, the first in row 100" in every.message


@dataclass(frozen=True)
class Unafraid(PredictionsProbe):
    finite: ClassVar[bool] = False


def test_a_probe_that_asks_for_them_sees_logits_that_are_not_finite(net: Net) -> None:
    own = Unafraid(predictions().sweep)
    found, strict = run(net, own, predictions(), loader=FakeLoader(poison=100))
    assert isinstance(strict, Failure) and own.key != predictions().key
    assert np.flatnonzero(~np.isfinite(found.logits).all(axis=1)).tolist() == [100] and len(found.labels) == 256


def test_out_of_memory_halves_the_batch_and_says_so(net: Net) -> None:
    (whole,) = run(net, asked(INPUT))
    net.memory = 10
    halved, said = run(net, asked(INPUT), predictions())
    assert halved["halved"] == said.halved == 2 and whole["halved"] == 0
    np.testing.assert_allclose(halved["input_gradient:"], whole["input_gradient:"], atol=1e-6)


def test_out_of_memory_on_one_example_is_a_failure(net: Net) -> None:
    net.memory = 0
    (failed,) = run(net, predictions())
    assert isinstance(failed, Failure) and failed.kind == "oom"


def test_a_fault_of_the_model_fails_every_probe(net: Net) -> None:
    net.head = nn.Linear(7, 4)
    assert [found.kind for found in run(net, predictions(), asked(INPUT))] == ["exception", "exception"]


def test_a_model_without_gradients_still_predicts(net: Net) -> None:
    net.forward = torch.no_grad()(net.forward)  # type: ignore[method-assign]
    said, failed = run(net, predictions(), asked(INPUT))
    assert isinstance(said, Predictions) and isinstance(failed, Failure)


def test_a_class_beyond_the_head_is_said(net: Net) -> None:
    (failed,) = run(net, asked(target="class:4"))
    assert isinstance(failed, Failure) and "4 outputs" in failed.message and "class:3" in failed.hint


@pytest.mark.parametrize("target", ["predicted", "label", "class:2"])
def test_the_target_is_one_logit_of_each_row(net: Net, target: str) -> None:
    (found,) = run(net, asked(INPUT, rows=8, target=target))
    batch = next(iter(FakeLoader()))
    rows = batch.inputs[:8].clone().requires_grad_()
    logits = net(rows)
    index = {"predicted": logits.argmax(1), "label": batch.labels[:8], "class:2": torch.full((8,), 2)}[target]
    (slow,) = torch.autograd.grad(sum(logits[i, index[i]] for i in range(8)), rows)
    np.testing.assert_allclose(found["input_gradient:"], slow.numpy(), atol=1e-6)


def test_the_model_is_left_as_it_was(net: Net) -> None:
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    random = torch.get_rng_state()
    run(net, predictions(), asked(INPUT), asked(*AUTO), asked(Tap("activation", "norm"), fault=0))
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    assert torch.equal(random, torch.get_rng_state()) and not net.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    assert sum(len(getattr(part, kind)) for part in net.modules() for kind in hooks) == 0
    assert torch.is_grad_enabled()


def test_cut_takes_the_rows_of_everything() -> None:
    batch = {"ids": torch.arange(6).reshape(3, 2), "names": ("a", "b", "c"), "rate": 1.5, "word": "abc"}
    assert cut(batch, 1, 3, 3) == {"ids": pytest.approx(np.array([[2, 3], [4, 5]])), "names": ("b", "c"),
                                   "rate": 1.5, "word": "abc"}  # fmt: skip
