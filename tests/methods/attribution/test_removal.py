"""Removal: which part each place belongs to, what takes its place, and maps brought to parts."""

from dataclasses import replace

import pytest
import torch

from auditor.errors import NotApplicable
from auditor.methods.attribution.method import Context
from auditor.methods.attribution.removal import blurred, removal_of


def pictures(n: int = 3, side: int = 12) -> torch.Tensor:
    return torch.rand(n, 2, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fill", ["mean", "blur"])
def test_removed_cells_of_a_picture_take_the_fill_and_the_others_stay(fill) -> None:
    inputs = pictures()
    removal = removal_of(inputs, fill, Context(), grid=4)
    assert removal.shape == (4, 4) and removal.parts == 16 and removal.own.all()
    removed = torch.zeros(2, 16, dtype=torch.bool)
    removed[0, 5] = True  # second row, second column: pixels 3 to 5 each way
    found = removal.without(torch.tensor([2, 0]), removed)
    inside = torch.zeros(12, 12, dtype=torch.bool)
    inside[3:6, 3:6] = True
    gone = inputs[2].mean(dim=(1, 2), keepdim=True).expand(2, 12, 12) if fill == "mean" else blurred(inputs)[2]
    assert torch.equal(found[0][:, inside], gone[:, inside])
    assert torch.equal(found[0][:, ~inside], inputs[2][:, ~inside]) and torch.equal(found[1], inputs[0])


def test_blurring_keeps_a_flat_picture_and_matches_a_direct_sum() -> None:
    assert torch.allclose(blurred(torch.ones(1, 3, 20, 20)), torch.ones(1, 3, 20, 20))
    point = torch.zeros(1, 1, 41, 41)
    point[0, 0, 20, 20] = 1
    found = blurred(point)[0, 0]
    offsets = torch.arange(-20.0, 21)
    gauss = torch.exp(-(offsets**2) / 2 / 4.1**2) * (offsets.abs() <= 12)
    want = gauss[:, None] * gauss / gauss.sum() ** 2
    assert torch.allclose(found, want, atol=1e-6)


def test_a_grid_never_has_more_cells_than_pixels() -> None:
    assert removal_of(pictures(side=8), "mean", Context(), grid=16).shape == (8, 8)


def test_only_own_tokens_of_a_text_are_parts() -> None:
    ids = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    context = Context(mask_id=4, special_ids=(0, 2, 3))
    every = torch.ones(2, 4, dtype=torch.bool)
    removal = removal_of({"input_ids": ids, "attention_mask": mask}, "mask", context)
    assert removal.own.tolist() == [[False, True, True, False], [False, True, False, False]]
    assert removal.without(torch.arange(2), every)["input_ids"].tolist() == [[2, 4, 4, 3], [2, 4, 3, 0]]
    hidden = removal_of({"input_ids": ids, "attention_mask": mask}, "hide", context).without(torch.arange(2), every)
    assert hidden["attention_mask"].tolist() == [[1, 0, 0, 1], [1, 0, 1, 0]] and torch.equal(hidden["input_ids"], ids)
    with pytest.raises(NotApplicable, match="no token"):
        removal_of({"input_ids": ids, "attention_mask": mask}, "mask", Context())


def test_columns_become_their_mean_or_a_drawn_row() -> None:
    rows, background = torch.tensor([[1.0, 2.0]]), torch.tensor([[10.0, 20.0], [30.0, 60.0]])
    removed = torch.tensor([[False, True]])
    mean = removal_of(rows, "mean", Context(background=background)).without(torch.tensor([0]), removed)
    assert mean.tolist() == [[1.0, 40.0]]
    drawn = removal_of(rows, "draw", Context(background=background)).without(torch.tensor([0]), removed)
    assert drawn[0, 1].item() in (20.0, 60.0)
    with pytest.raises(NotApplicable, match="rows of the data"):
        removal_of(rows, "mean", Context())


def test_a_fine_map_is_averaged_over_cells_and_a_coarse_one_enlarged() -> None:
    removal = removal_of(pictures(n=1, side=4), "mean", Context(), grid=2)
    fine = torch.arange(16.0).reshape(1, 4, 4)
    assert removal.on_parts(fine).tolist() == [[2.5, 4.5, 10.5, 12.5]]
    assert removal.on_parts(torch.full((1, 1, 1), 3.0)).tolist() == [[3.0] * 4]
    texts = removal_of({"input_ids": torch.tensor([[2, 7, 3]])}, "mask", Context(mask_id=4, special_ids=(2, 3)))
    assert texts.on_parts(torch.tensor([[5.0, 6.0, 7.0]])).tolist() == [[0.0, 6.0, 0.0]]


def test_what_is_drawn_for_a_row_is_its_own_whatever_the_batch() -> None:
    rows, background = torch.randn(40, 3), torch.arange(60.0).reshape(20, 3)
    context = Context(background=background, seed=3)
    whole = removal_of(rows, "draw", context).gone
    parts = torch.cat([removal_of(part, "draw", context).gone for part in rows.split(7)])
    assert torch.equal(whole, parts) and len({tuple(row) for row in parts.tolist()}) > 10
    assert not torch.equal(whole, removal_of(rows, "draw", replace(context, seed=4)).gone)


def test_tokens_are_never_masked_where_they_were_to_be_hidden() -> None:
    with pytest.raises(NotApplicable, match="attention mask"):
        removal_of({"input_ids": torch.ones(1, 3, dtype=torch.int64)}, "hide", Context(mask_id=5))


def test_sizes_count_the_pixels_of_uneven_cells() -> None:
    removal = removal_of(torch.zeros(1, 1, 3, 4), "mean", Context(), grid=2)
    assert removal.sizes.tolist() == [4, 4, 2, 2]
    assert removal_of(torch.zeros(2, 3), "mean", Context(background=torch.zeros(1, 3))).sizes.tolist() == [1, 1, 1]
