"""Which intervals of a history may be compared with each other."""

import numpy as np
import pytest
from histories import changes

from auditor.methods.training.rates import element_bands, undecidable, usual


@pytest.mark.parametrize(
    ("lengths", "kept"),
    [
        ([10, 10, 10, 3], [True, True, True, False]),  # a run that ends between records
        ([100, 100, 200, 100], [True, True, False, True]),  # a checkpoint is missing
        ([100, 100, 700], [True, True, False]),
        ([1] * 10 + [10] * 5, [False] * 10 + [True] * 5),  # dense first records, which are the more
        ([1] * 10 + [10] * 2, [True] * 10 + [False] * 2),
        ([10, 12, 9, 11], [True] * 4),
        ([7], [True]),
        ([], []),
    ],
)
def test_the_usual_length(lengths: list[int], kept: list[bool]) -> None:
    steps = np.cumsum([0, *lengths])
    found = changes(np.ones((len(lengths), 2)), np.ones((len(lengths), 2)), steps=steps)  # type: ignore[arg-type]
    assert usual(found).tolist() == kept


def test_rounding_hides_rates_by_the_share_of_what_it_hides() -> None:
    from dataclasses import replace

    found = changes([[1.0, 1.0], [0.001, 1.0]], [[100.0, 100.0]] * 2)
    assert undecidable(found) == {}
    small = replace(found, resolution=np.full((2, 2), 0.2))
    assert undecidable(small) == {}  # the small change is late, and the whole of both is well above it
    coarse = replace(found, resolution=np.full((2, 2), 0.5))
    assert set(undecidable(coarse)) == {
        "change_rate", "change_rate_p95", "stability", "final_to_peak", "early_rate_ratio",
    }  # fmt: skip
    assert "bfloat16, whose rounding alone may give the change of 2 of 2 intervals" in undecidable(coarse)["stability"]


def test_the_band_over_elements_weighs_tensors_by_their_size() -> None:
    from dataclasses import replace

    found = changes([[1.0, 1.0]], [[1.0, 1.0]])
    grid = np.array([[[0.1, 0.2, 0.3, 0.4, 0.5], [10.0, 20.0, 30.0, 40.0, 50.0]]])
    band = element_bands(replace(found, quantiles=grid, sizes=np.array([1, 999])))
    assert band[0].tolist() == [10.0, 30.0, 50.0]
    assert element_bands(replace(found, quantiles=grid, sizes=np.array([50, 50])))[0].tolist() == [0.1, 0.5, 50.0]
