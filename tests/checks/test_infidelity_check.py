"""interpretability.infidelity: planted amounts, the worse fill, examples that do not move, and a real small model."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from auditor.artifacts.explained import Explained
from auditor.artifacts.infidelity import Infidelities, InfidelityNeed
from auditor.artifacts.placed import Placed
from auditor.blocks import Lines
from auditor.checks.interpretability.infidelity import Infidelity
from auditor.errors import NotApplicable
from auditor.evidence import Evidence, Measurement, Moments
from auditor.methods.attribution.method import Context
from auditor.methods.attribution.perturb import Forwards
from auditor.statistics import t_interval
from auditor.subject import DataRef, ModelRef, Subject

N = 50


def found(own: list[tuple[float, float]], rolled: float = 0.6, **more: Any) -> Infidelities:
    """Infidelities of each method under two fills, with noise by example."""
    rng = np.random.default_rng(0)
    index = np.zeros(N, dtype=np.int64)
    told = Explained(index, index, index, np.ones(N, np.float32), tuple(f"x{k}" for k in range(N)), classes=("cat",))
    noise = rng.normal(0, 0.05, (len(own), 2, N))
    names = ("saliency", "grad_cam")[: len(own)]
    plain: dict[str, Any] = {
        "methods": names, "fills": ("mean", "blur"), "map": np.array(own)[:, :, None] + noise,
        "rolled": np.full(noise.shape, rolled), "moved": np.ones(N, bool), "empty": np.zeros((len(own), N), bool),
        "explained": told,
    }  # fmt: skip
    return Infidelities(**(plain | more))


def value(evidence: Evidence, name: str, of: str = "") -> Measurement:
    return next(each for each in evidence.measurements if (each.name, each.of) == (name, of))


def low(measurement: Measurement) -> float:
    assert isinstance(measurement.distribution, Moments)
    return t_interval(measurement.distribution.mean, measurement.distribution.sd, measurement.n, 0.95)[0]


def test_amounts_in_the_right_places_gain_and_in_the_wrong_ones_do_not() -> None:
    good = Infidelity().measure(found=found([(0.2, 0.3)]))
    assert (
        value(good, "infidelity_gain").value == pytest.approx(0.3, abs=0.02) and low(value(good, "infidelity_gain")) > 0
    )
    assert value(good, "infidelity").value == pytest.approx(0.3, abs=0.02)  # of the fill that decides
    assert low(value(Infidelity().measure(found=found([(0.6, 0.6)])), "infidelity_gain")) < 0.02
    assert value(Infidelity().measure(found=found([(0.8, 0.7)])), "infidelity_gain").value < -0.15


def test_each_of_several_methods_is_measured_and_shown_beside_its_null() -> None:
    evidence = Infidelity().measure(found=found([(0.2, 0.2), (0.5, 0.5)]))
    assert value(evidence, "infidelity_gain", "saliency").value > value(evidence, "infidelity_gain", "grad_cam").value
    column = evidence.samples["infidelity_gain[grad_cam]"]
    assert np.mean(column) == pytest.approx(value(evidence, "infidelity_gain", "grad_cam").value)
    first, second = (block for block in evidence.blocks if isinstance(block, Lines))
    assert [line.label for line in first.lines] == ["saliency", "the same map, rolled"]
    assert second.lines[0].label == "Grad-CAM"
    assert all(sum(line.y) == pytest.approx(1) for line in (*first.lines, *second.lines))


def test_what_does_not_move_is_left_out_and_empty_maps_are_counted() -> None:
    moved, empty = np.ones(N, bool), np.zeros((1, N), bool)
    moved[:4], empty[0, 5:8] = False, True
    evidence = Infidelity().measure(found=found([(0.2, 0.2)], moved=moved, empty=empty))
    assert value(evidence, "infidelity_gain").n == N - 4 == len(evidence.examples)
    assert evidence.notes[:2] == (
        "3 of 50 maps of saliency are zero everywhere: their infidelity is 1.",
        "4 of 50 examples are left out: no removal changes their score, or they have a single part, which no null can "
        "move.",
    )  # fmt: skip
    with pytest.raises(NotApplicable, match="no removal"):
        Infidelity().measure(found=replace(found([(0.2, 0.2)]), moved=np.zeros(N, bool)))


def subject(modality: Any = "image", data: bool = True) -> Subject:
    model = ModelRef(digest="m", name="m", source="factory", entry={}, architecture="net", modality=modality, outputs=3)
    rows = DataRef(digest="d", name="d", source="tensors", entry={}, modality=modality, rows=9, used=9)
    return Subject(model=model, data=rows if data else None)


def test_where_it_applies_and_what_it_asks_for() -> None:
    assert Infidelity().applies(subject()) is None and Infidelity().applies(subject(data=False)) is not None
    need = Infidelity(methods=("saliency",), draws=32).needs(subject())["found"]
    assert isinstance(need, InfidelityNeed) and need.methods == ("saliency",) and need.draws == 32
    assert need.cost().forwards == 64


def asked(side: int, grid: int) -> tuple[Any, Any, Any]:
    """A linear model of pictures, and the map of what each pixel adds to the picture's mean colour."""
    pictures = torch.rand(6, 1, side, side, generator=torch.Generator().manual_seed(0))
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(side * side, 1)).eval()
    weight = net[1].weight.detach().reshape(1, side, side)
    maps = weight * (pictures - pictures.mean(dim=(2, 3), keepdim=True))[:, 0]
    scores = net(pictures)[:, 0].detach()
    batch = Placed(0, pictures, torch.zeros(6, dtype=torch.int64), scores, (maps,))
    need = Infidelity(methods=("saliency",), grid=grid).needs(subject())["found"]
    forwards = Forwards(SimpleNamespace(logits=net, module=net), 64)
    return need._batch(batch, forwards, ("mean", "blur"), Context(seed=1))  # type: ignore[attr-defined]  # its own


def test_what_each_pixel_adds_says_every_fall_also_on_uneven_cells() -> None:
    own, rolled, moved = asked(side=7, grid=4)
    assert own[0, 0].max() < 1e-5 < 0.2 < rolled[0, 0].mean() and moved.all()


def test_an_example_of_one_part_is_not_judged() -> None:
    assert not asked(side=1, grid=4)[2].any()
