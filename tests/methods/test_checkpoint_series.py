"""A series of checkpoints against closed forms and slow comparisons, whatever the stored type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from auditor.errors import SourceError
from auditor.methods.training import checkpoints
from auditor.methods.training.checkpoints import Read, changes_of
from auditor.methods.training.followed import rounding
from auditor.methods.training.rates import decidable, steady_part, usual
from auditor.recorder.watch import Watch
from auditor.sources.models.header import Shape

WORDS = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64"}


@dataclass
class Held:
    """A checkpoint in memory."""

    tensors: Mapping[str, torch.Tensor]

    @property
    def shapes(self) -> dict[str, Any]:
        return {name: Shape(WORDS.get(each.dtype, "F32"), tuple(each.shape)) for name, each in self.tensors.items()}

    def read(self, spans: Sequence[tuple[str, int, int]]) -> list[torch.Tensor]:
        return [self.tensors[name].flatten()[start:end].clone() for name, start, end in spans]


def series(*states: Mapping[str, torch.Tensor], steps: Sequence[int] | None = None) -> Read:
    return changes_of([Held(state) for state in states], steps or range(len(states)))


def test_descent_on_a_quadratic_has_closed_form_changes() -> None:
    """w_k = (1 - lr a)^k w_0, so each change is -lr a w_k, and a change's inner product with the last is known too."""
    curvature = torch.linspace(0.1, 1.0, 60, dtype=torch.float64)
    start = torch.linspace(-1, 1, 60, dtype=torch.float64)
    lr, shrink = 0.5, 1 - 0.5 * curvature
    read = series(*({"w": (start * shrink**k).view(6, 10)} for k in range(8))).changes
    for k in range(7):
        w, before = start * shrink**k, start * shrink ** (k - 1)
        moved = -lr * curvature * w
        assert read.norm[k, 0] == pytest.approx(float(w.norm()), rel=1e-12)
        assert read.change[k, 0] == pytest.approx(float(moved.norm()), rel=1e-12)
        assert read.l1_change[k, 0] == pytest.approx(float(moved.abs().sum()), rel=1e-12)
        if k:
            assert read.turn[k, 0] == pytest.approx(float(moved @ (-lr * curvature * before)), rel=1e-12)
    assert np.isnan(read.turn[0, 0]) and read.turn[1:].all()
    assert not read.resolution.any()


def test_a_large_tensor_is_read_in_stretches_and_gives_what_a_watch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "STRETCH", checkpoints.BLOCK)
    generator = torch.Generator().manual_seed(0)
    sizes = {"large": 2 * checkpoints.BLOCK + 77, "small": 5000, "tiny": 3}
    states = [{name: torch.randn(size, generator=generator) for name, size in sizes.items()} for _ in range(3)]
    read = series(*states).changes
    now = {name: value.clone() for name, value in sorted(states[0].items())}
    watch = Watch(now)
    for row in range(2):
        for name, tensor in now.items():
            tensor.copy_(states[row + 1][name])
        moved = watch.mark()
        for name in ("norm", "change", "l1_norm", "l1_change", "elementwise", "quantiles"):
            np.testing.assert_allclose(getattr(read, name)[row], getattr(moved, name), rtol=1e-6)
        np.testing.assert_allclose(read.projection[row], moved.projection, atol=1e-5 * np.linalg.norm(moved.change))
    turn = [float((states[1][n] - states[0][n]).double() @ (states[2][n] - states[1][n]).double()) for n in now]
    np.testing.assert_allclose(read.turn[1], turn, rtol=1e-4)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_the_resolution_is_the_rounding_of_both_ends(kind: torch.dtype) -> None:
    """Measured on numbers spread over many binades, zeros and numbers below the smallest normal one among them."""
    generator = torch.Generator().manual_seed(1)
    exact = torch.randn(200_000, generator=generator) * 0.05
    exact[:1000] *= 1e-6
    error = float((exact.to(kind).double() - exact.double()).norm())
    assert rounding(exact.to(kind)) ** 0.5 == pytest.approx(error, rel=0.1)


def test_bfloat16_makes_small_changes_undecidable_and_large_ones_not() -> None:
    generator = torch.Generator().manual_seed(2)
    start, step = torch.randn(2, 100, 100, generator=generator)
    states = [{"w": (start + size * step).bfloat16()} for size in (0.0, 1e-4, 0.3)]
    read = series(*states).changes
    assert decidable(read)[:, 0].tolist() == [False, True]
    exact = series(*({"w": start + size * step} for size in (0.0, 1e-4, 0.3))).changes
    assert decidable(exact).all()
    assert read.change[1, 0] == pytest.approx(exact.change[1, 0], rel=0.01)
    assert read.resolution[0, 0] == pytest.approx(2**0.5 * rounding(states[0]["w"]) ** 0.5, rel=0.01)


def test_float16_beside_float64_and_counters() -> None:
    states = [
        {"half": torch.full((4, 4), 1.0 + k).half(), "double": torch.full((3,), 1.0 + 1e-12 * k, dtype=torch.float64),
         "norm.num_batches_tracked": torch.tensor(k), "norm.running_mean": torch.ones(3) * k, "empty": torch.ones(0)}
        for k in range(3)
    ]  # fmt: skip
    read = series(*states).changes
    assert read.tensors == ("double", "half")
    assert read.change[0] == pytest.approx([1e-12 * 3**0.5, 4.0], rel=1e-3)
    assert read.resolution[0, 0] == 0 < read.resolution[0, 1]


def test_tensors_that_appear_vanish_or_change_shape_are_reported() -> None:
    kept, old, new = torch.ones(3, 3), torch.ones(2), torch.ones(4)
    read = series(
        {"kept": kept, "old": old, "head": torch.ones(2, 3), "count": torch.tensor(1)},
        {"kept": kept * 2, "new": new, "head": torch.ones(5, 3), "count": torch.tensor(2)},
    )
    assert read.changes.tensors == ("kept",)
    assert read.changes.change[0, 0] == pytest.approx(3)
    assert (read.appeared, read.vanished) == (("head", "new"), ("head", "old"))


def test_tied_tensors_count_once_and_equal_constants_are_not_tied() -> None:
    generator = torch.Generator().manual_seed(3)
    shared = torch.randn(3, 8, 4, generator=generator)
    frozen = torch.randn(8, 4, generator=generator)
    scale = torch.ones(6)
    states = [
        {"a.weight": each, "b.weight": each.clone(), "c.weight": frozen, "d.weight": frozen.clone(),
         "e.bias": torch.zeros(6), "f.bias": torch.zeros(6), "g.scale": scale, "h.scale": scale.clone(),
         "flat": each.flatten().clone()}
        for each in shared
    ]  # fmt: skip
    read = series(*states)
    assert read.tied == {"b.weight": "a.weight", "d.weight": "c.weight"}
    assert read.changes.tensors == ("a.weight", "c.weight", "e.bias", "f.bias", "flat", "g.scale", "h.scale")
    apart = [*states[:2], {**states[2], "b.weight": shared[2] + 1e-3}]
    assert read.changes.change[0, 0] > 0 and "b.weight" not in series(*apart).tied


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_changes_end_where_weights_are_not_finite(bad: float) -> None:
    states = [{"w": torch.full((2, 3), 1.0 + k)} for k in range(4)]
    states[3]["w"][0, 0] = bad
    read = series(*states).changes
    assert not read.finite()
    assert np.isfinite(read.change[:2]).all() and not np.isfinite(read.change[2]).all()
    assert steady_part(read).steps.tolist() == [0, 1, 2]


def test_a_checkpoint_missing_from_the_middle_is_left_out_of_rates() -> None:
    steps = [0, 10, 20, 40, 50, 60]
    read = series(*({"w": torch.full((2, 3), 1.0 + step)} for step in steps), steps=steps).changes
    assert usual(read).tolist() == [True, True, False, True, True]
    assert steady_part(read).change[:, 0] == pytest.approx(10 * 6**0.5)


def test_wrong_series() -> None:
    state = {"w": torch.ones(2)}
    with pytest.raises(SourceError, match="rising step numbers"):
        series(state, state, steps=[5, 5])
    with pytest.raises(SourceError, match="two checkpoints or more"):
        series(state)
    with pytest.raises(SourceError, match="no parameter in common"):
        series(state, {"v": torch.ones(2)})
    with pytest.raises(SourceError, match="no parameter in common"):
        series({"n": torch.tensor([1])}, {"n": torch.tensor([2])})
