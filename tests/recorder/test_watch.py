"""What is kept of an interval agrees with full copies, whatever the tensors are."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from auditor.recorder.projection import BLOCK, Projection
from auditor.recorder.watch import (
    FLOOR,
    GRID,
    Moved,
    Watch,
    grid_quantiles,
    relative_changes,
    sketch_rows,
    unique_parameters,
)

SHAPES: dict[str, tuple[int, ...]] = {
    "large": (3, BLOCK + 11), "block": (BLOCK,), "sketched": (60, 50), "bias": (7,), "scalar": (), "none": (0,),
}  # fmt: skip


def drawn(seed: int, scale: float = 1.0, **more: Any) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {name: (scale * torch.randn(shape, generator=draw)).to(**more) for name, shape in SHAPES.items()}


def slowly(before: dict[str, Tensor], now: dict[str, Tensor]) -> Moved:
    """The same by full copies in float64."""
    old = {name: tensor.double().flatten() for name, tensor in before.items()}
    gone = {name: now[name].double().flatten() - old[name] for name in old}
    ratios = []
    for name, tensor in old.items():
        rows = sketch_rows(tensor.numel())
        kept = slice(None) if rows is None else rows
        rms = float(tensor.norm()) / max(1, tensor.numel()) ** 0.5
        ratios.append(gone[name][kept].abs() / tensor[kept].abs().clamp_min(max(FLOOR * rms, 1e-38)))
    grid = torch.tensor(GRID, dtype=torch.float64)
    return Moved(
        norm=np.array([float(tensor.norm()) for tensor in old.values()]),
        change=np.array([float(tensor.norm()) for tensor in gone.values()]),
        l1_norm=np.array([float(tensor.abs().sum()) for tensor in old.values()]),
        l1_change=np.array([float(tensor.abs().sum()) for tensor in gone.values()]),
        elementwise=np.array([float(ratio.mean()) for ratio in ratios]),
        quantiles=np.array([torch.quantile(r, grid).tolist() if len(r) else [np.nan] * 5 for r in ratios]),
        projection=Projection({name: tensor.numel() for name, tensor in gone.items()}).of(gone),
    )


def same(found: Moved, expected: Moved, rel: float = 1e-5) -> None:
    for name, value in vars(expected).items():
        scale = np.abs(expected.projection).max() if name == "projection" else 0.0
        assert getattr(found, name) == pytest.approx(value, rel=rel, abs=rel * scale, nan_ok=True), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_it_agrees_with_full_copies(dtype: torch.dtype) -> None:
    tensors = drawn(0, dtype=dtype)
    watch = Watch(tensors)
    for seed in (1, 2):
        before = {name: tensor.clone() for name, tensor in tensors.items()}
        for name, other in drawn(seed, 1e-2).items():
            tensors[name] += other.to(dtype)
        same(watch.mark(), slowly(before, tensors))


def test_tensors_in_another_layout_agree() -> None:
    weight = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    plain, turned = {"w": weight.clone()}, {"w": weight.clone(memory_format=torch.channels_last)}
    watches = [Watch(plain), Watch(turned)]
    for tensors in (plain, turned):
        tensors["w"] += weight.square()
    same(watches[1].mark(), watches[0].mark(), 1e-6)


@pytest.mark.parametrize("scale", [1e-22, 1e-18, 1e-12, 1e15, 1e22])
def test_the_range_of_float32_does_not_bend_norms(scale: float) -> None:
    tensors = {"w": torch.zeros(100)}
    watch = Watch(tensors)
    tensors["w"] += scale
    moved = watch.mark()
    assert moved.change[0] == pytest.approx(10 * scale, rel=1e-5) and moved.l1_change[0] == pytest.approx(100 * scale)
    tensors["w"] += 0
    assert watch.mark().norm[0] == pytest.approx(10 * scale, rel=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_show(bad: float) -> None:
    tensors = {"w": torch.ones(10), "other": torch.ones(3)}
    watch = Watch(tensors)
    tensors["w"][3] = bad
    moved = watch.mark()
    assert not np.isfinite(moved.change[0]) and not np.isfinite(moved.elementwise[0]) and moved.change[1] == 0
    assert not np.isfinite(watch.mark().norm[0])


def test_frozen_tensors_are_exactly_still_and_not_projected() -> None:
    tensors = drawn(0)
    watch = Watch(tensors, [name != "large" for name in tensors])
    tensors["bias"] += 1
    tensors["large"] += 1
    moved = watch.mark()
    places = {name: place for place, name in enumerate(tensors)}
    still = [place for name, place in places.items() if name not in ("bias", "large")]
    assert (moved.change[still] == 0).all() and moved.change[places["large"]] > 0
    assert moved.projection == pytest.approx(Projection({"bias": 7}).of({"bias": torch.ones(7)}))


def test_quantiles_and_mean_are_those_of_one_known_change() -> None:
    tensors = {"w": torch.ones(5)}
    watch = Watch(tensors)
    tensors["w"] += torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4])
    moved = watch.mark()
    assert moved.elementwise[0] == pytest.approx(0.2)
    assert moved.quantiles[0] == pytest.approx(np.quantile([0, 0.1, 0.2, 0.3, 0.4], GRID), abs=1e-6)


def test_rows_of_sketches_and_single_ones_are_read_alike() -> None:
    draw = np.random.default_rng(0)
    before, now = draw.normal(size=(2, 3, 50)).astype(np.float32)
    now[1, 4] = np.nan
    rows = relative_changes(before, now, np.array([1.0, 2.0, 0.0]))
    assert (rows[0] == relative_changes(before[0], now[0], 1.0)).all()
    assert (grid_quantiles(rows)[0] == grid_quantiles(rows[0])).all()
    assert grid_quantiles(rows)[2] == pytest.approx(np.quantile(rows[2].astype(float), GRID))
    assert np.isnan(grid_quantiles(rows)[1]).all() and np.isnan(grid_quantiles(rows[:, :0])).all()


def test_a_tensor_that_grew_is_named() -> None:
    tensors = {"w": torch.ones(5)}
    watch = Watch(tensors)
    tensors["w"] = torch.ones(6)
    with pytest.raises(ValueError, match="tensor w has 6 elements now, and had 5"):
        watch.mark()


def test_tied_weights_count_once() -> None:
    one, two = nn.Linear(4, 4), nn.Linear(4, 4)
    two.weight = one.weight
    assert list(unique_parameters(nn.Sequential(one, two))) == ["0.weight", "0.bias", "1.bias"]


def test_it_holds_one_copy() -> None:
    tensors = {"w": torch.zeros(1_000_000)}
    watch = Watch(tensors)
    held = sum(copy.numel() for copy in watch._before.values()) + sum(part.size for part in watch._sketch.values())
    assert held == 1_000_000 + 2048
