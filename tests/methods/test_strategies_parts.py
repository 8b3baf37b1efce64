"""Groups of maps, regions of fixed position, transplants and telling tokens: by hand and by plan."""

import numpy as np
import pytest
import torch

from auditor.errors import AuditorError
from auditor.methods.strategies import regions
from auditor.methods.strategies.clustering import spectral
from auditor.methods.strategies.tokens import telling
from auditor.methods.strategies.transplant import Surgery, donors_of, on_pixels


@pytest.mark.parametrize("count", [2, 3, 4])
def test_planted_groups_are_counted_and_told_apart(count: int) -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(120) % count
    rows = rng.random((120, 30)) * 0.3
    rows[np.arange(120), truth] += 5
    found = spectral(rows, 1)
    assert found.count == count
    assert len({(a, b) for a, b in zip(truth.tolist(), found.labels.tolist(), strict=True)}) == count
    assert (spectral(rows, 1).labels == found.labels).all()


def test_maps_of_one_kind_and_few_maps_are_one_group() -> None:
    rows = np.random.default_rng(0).random((15, 9))
    assert spectral(rows, 0).count == 1 and set(spectral(rows, 0).labels.tolist()) == {0}


def test_maps_become_shares_of_cells_at_any_resolution() -> None:
    maps = np.zeros((3, 8, 8))
    maps[0, :2, :2] = -3
    maps[1] = 1
    cells = regions.on_cells(maps, 4)
    assert cells[0, 0, 0] == pytest.approx(1) and cells[1] == pytest.approx(1 / 16)
    assert cells[2] == pytest.approx(1 / 16)  # zero everywhere: even
    assert regions.on_cells(np.ones((1, 3, 3)), 4)[0] == pytest.approx(1 / 16)
    assert regions.shares(np.array([[1.0, -3.0]])).tolist() == [[0.25, 0.75]]


def test_the_window_lies_where_the_mean_map_holds_most() -> None:
    rng = np.random.default_rng(0)
    mean = rng.random((16, 16))
    found = regions.window(mean, 0.07)
    every = []
    for top in range(13):
        for left in range(13):
            every.append(mean[top : top + 4, left : left + 4].sum())
    assert found.sum() == 16 and mean[found].sum() == pytest.approx(max(every))
    assert regions.window(np.eye(3), 0.01).sum() == 1


def test_candidates_are_small_or_the_frame_and_hold_the_corners() -> None:
    means = [np.random.default_rng(seed).random((16, 16)) for seed in range(3)]
    found = regions.candidates(means)
    frame = regions.ring(16)
    assert all(mask.sum() <= 0.07 * 256 or np.array_equal(mask, frame) for mask in found)
    assert len({mask.tobytes() for mask in found}) == len(found)
    assert any(mask[0, 0] and mask.sum() == 16 for mask in found) and any(np.array_equal(mask, frame) for mask in found)
    assert regions.neighbours(frame) == []
    corner = regions.corners(16)[0]
    assert len(regions.neighbours(corner)) == 2
    for mask in regions.elsewhere(corner, 20, np.random.default_rng(0)):
        assert mask.sum() == 16 and (mask & corner).sum() <= 8
    assert regions.named(corner) == "rows 1-4, columns 1-4 of 16 x 16 cells"
    assert regions.named(frame).startswith("the frame")


def test_cells_cover_pixels_as_the_grid_of_removals_does() -> None:
    masks = np.zeros((1, 2, 2), dtype=bool)
    masks[0, 0, 1] = True
    assert on_pixels(masks, 5, 5)[0].astype(int).tolist() == [[0, 0, 0, 1, 1]] * 3 + [[0] * 5] * 2


def test_a_model_that_reads_one_corner_follows_that_corner_only() -> None:
    pictures = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def logits(inputs: torch.Tensor) -> torch.Tensor:
        seen = inputs[:, 0, 0, 0]
        return torch.stack([seen, 1 - seen], dim=1)

    predicted = logits(pictures).argmax(1).numpy()
    surgery = Surgery(logits, pictures, predicted, 16)
    rows = np.arange(40)
    donors = donors_of(rows, predicted, np.random.default_rng(0))
    assert (predicted[donors] != predicted).all()
    corner, other = regions.corners(8)[0], regions.corners(8)[3]
    assert surgery.follows(rows, donors, corner).all()
    assert not surgery.follows(rows, donors, other).any()
    mixed = np.stack([corner if row % 2 else other for row in rows])
    assert surgery.follows(rows, donors, mixed).tolist() == [bool(row % 2) for row in rows]


def test_columns_are_transplanted_too() -> None:
    table = torch.randn(30, 5, generator=torch.Generator().manual_seed(0))
    predicted = (table[:, 3] > 0).long().numpy()
    surgery = Surgery(lambda x: torch.stack([-x[:, 3], x[:, 3]], 1), table, predicted, 7)
    donors = donors_of(np.arange(30), predicted, np.random.default_rng(0))
    assert surgery.follows(np.arange(30), donors, np.eye(5, dtype=bool)[3]).all()
    assert not surgery.follows(np.arange(30), donors, np.eye(5, dtype=bool)[1]).any()


def test_one_class_has_no_donor() -> None:
    with pytest.raises(ValueError, match="one class"):
        donors_of(np.arange(4), np.zeros(4, dtype=np.int64), np.random.default_rng(0))


def test_a_planted_token_is_among_the_telling_ones_and_rare_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    predicted = np.arange(60) % 2
    tokens = [["film", "plot", str(rng.choice(["a", "the"])), *(["zorp"] if own else [])] for own in predicted]
    tokens[0].append("once")
    values = [np.array([0.1, 0.1, 0.1, 2.0][: len(text)] + [5.0] * (len(text) - 4)) for text in tokens]
    found = telling(tokens, values, predicted)
    assert found[1][0] == "zorp" and "once" not in found[0] and "zorp" not in found[0]


def test_logits_of_a_mixture_that_are_not_finite_are_an_error() -> None:
    """The largest of [NaN, 1] is the first: a broken model would look as if it never followed."""
    table = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]])
    surgery = Surgery(lambda x: torch.log(x - 1), table, np.array([0, 1, 0]), 4)
    with pytest.raises(AuditorError, match="on changed inputs are not finite"):
        surgery.follows(np.array([0, 2]), np.array([1, 1]), np.array([True, False]))
