"""interpretability.agreement: equal, opposite and unrelated maps, grids of any size, what is left out and shown."""

from typing import Any

import numpy as np
import pytest
from making import digits, evidence

from auditor.artifacts.agreement import AgreementNeed
from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explained import Explained
from auditor.blocks import Heatmap, Images, TokenMap
from auditor.checks.interpretability.agreement import Agreement
from auditor.evidence import Evidence, Measurement, Moments
from auditor.methods.similarity.grids import on_grid
from auditor.statistics import t_interval
from auditor.subject import DataRef, ModelRef, Subject

N = 40


def told(**more: Any) -> Explained:
    index = np.zeros(N, dtype=np.int64)
    names = tuple(f"x{k}" for k in range(N))
    return Explained(index, index, index, np.ones(N, np.float32), names, classes=("cat",), **more)


def measured(maps: list[np.ndarray], explained: Explained | None = None, top: float = 0.1) -> Evidence:
    names = ("saliency", "grad_cam", "input_x_gradient")[: len(maps)]
    explained = explained or told()
    need = AgreementNeed(names, (), top, 16)
    lengths = [np.full(N, each[0].size) for each in maps]
    each = {f"map_{k}": Attributions(m.astype(np.float32), size, explained)
            for k, (m, size) in enumerate(zip(maps, lengths, strict=True))}  # fmt: skip
    object.__setattr__(need, "maps", tuple(each))  # only their number counts here
    return Agreement(methods=names).measure(found=need.build(**each))


def value(evidence: Evidence, name: str, of: str = "saliency / grad_cam") -> Measurement:
    return next(each for each in evidence.measurements if (each.name, each.of) == (name, of))


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, *shape))


def low(one: Measurement) -> float:
    assert isinstance(one.distribution, Moments)
    return t_interval(one.distribution.mean, one.distribution.sd, one.n, 0.95)[0]


def test_the_same_map_agrees_wholly_whatever_its_scale() -> None:
    one = noise(0, 16, 16)
    found = measured([one, 3 * one])
    assert value(found, "top_k_agreement").value == pytest.approx(1) == value(found, "rank_correlation").value


def test_unrelated_maps_agree_as_by_chance_and_opposite_ones_less() -> None:
    found = measured([noise(0, 16, 16), noise(1, 16, 16)])
    for name in ("top_k_agreement", "rank_correlation"):
        assert abs(value(found, name).value) < 0.05 and low(value(found, name)) < 0
    assert value(measured([noise(0, 16, 16), -noise(0, 16, 16)]), "rank_correlation").value == pytest.approx(-1)


def test_a_related_map_agrees_in_part() -> None:
    found = measured([noise(0, 16, 16), noise(0, 16, 16) + noise(1, 16, 16)])
    for name in ("top_k_agreement", "rank_correlation"):
        assert 0.3 < value(found, name).value < 0.8 and low(value(found, name)) > 0


def test_a_method_without_sign_is_compared_by_size() -> None:
    found = measured([np.abs(noise(0, 16, 16)), noise(0, 16, 16)])
    assert value(found, "rank_correlation").value == pytest.approx(1)


def test_maps_of_other_resolution_meet_on_one_grid() -> None:
    fine = noise(0, 32, 32)
    coarse = fine.reshape(N, 8, 4, 8, 4).mean(axis=(2, 4))
    assert value(measured([coarse, coarse.repeat(4, axis=1).repeat(4, axis=2)]), "rank_correlation").value > 0.999
    np.testing.assert_allclose(on_grid(fine, 8, 8), coarse)
    uneven = on_grid(fine, 7, 5)
    np.testing.assert_allclose(uneven.mean(axis=(1, 2)), fine.mean(axis=(1, 2)))  # no mass is lost
    np.testing.assert_allclose(uneven[:, 0, 0], _corner(fine), atol=1e-9)


def _corner(fine: np.ndarray) -> np.ndarray:
    """The mean of the upper left 32/7 x 32/5 places, by hand."""
    down, across = np.array([1, 1, 1, 1, 4 / 7]), np.array([1, 1, 1, 1, 1, 1, 2 / 5])
    return np.asarray(np.einsum("h,nhw,w->n", down, fine[:, :5, :7], across) / (down.sum() * across.sum()))


def test_every_pair_is_measured_and_in_the_matrix() -> None:
    found = measured([noise(0, 8, 8), noise(0, 8, 8), noise(2, 8, 8)])
    assert len(found.measurements) == 6
    matrix = found.blocks[0]
    assert isinstance(matrix, Heatmap) and matrix.rows == ("saliency", "Grad-CAM", "input x gradient")
    assert matrix.values[0][1] == pytest.approx(1) and matrix.values[2][0] == matrix.values[0][2]
    column = found.samples["rank_correlation[saliency / input_x_gradient]"]
    assert np.mean(column) == pytest.approx(value(found, "rank_correlation", "saliency / input_x_gradient").value)


def test_maps_without_order_leave_their_pairs_and_are_counted() -> None:
    flat = noise(0, 8, 8)
    flat[:5] = 0
    found = measured([flat, noise(1, 8, 8), noise(2, 8, 8)])
    assert value(found, "rank_correlation").n == N - 5
    assert value(found, "rank_correlation", "grad_cam / input_x_gradient").n == N
    assert "5 of 40 maps of saliency have no order and are left out of its pairs." in found.notes
    nothing = measured([np.zeros((N, 4)), noise(0, 4)])
    assert nothing.measurements == () and isinstance(nothing.blocks[0], Heatmap)
    assert nothing.blocks[0].values[0][1] is None


def test_texts_are_shown_line_by_line() -> None:
    found = measured([noise(0, 5), noise(1, 5)], told(tokens=(("a", "b", "c"),)))
    shown = found.blocks[1]
    assert isinstance(shown, TokenMap) and shown.signed and len(shown.texts) == 2
    assert shown.texts[1].label.endswith(": Grad-CAM") and len(shown.texts[0].scores) == 3


def test_groups_are_the_unit_where_there_are_some() -> None:
    found = measured([noise(0, 8), noise(1, 8)], told(groups=tuple(f"g{k // 4}" for k in range(N))))
    assert (value(found, "rank_correlation").n, value(found, "rank_correlation").unit_of_resampling) == (10, "group")


def test_a_real_network_end_to_end() -> None:
    check = Agreement(methods=("saliency", "input_x_gradient"), rows=20)
    found = evidence(check, digits())
    one = value(found, "rank_correlation", "saliency / input_x_gradient")
    assert low(one) > 0 and one.n == 20
    assert isinstance(found.blocks[1], Images) and len(found.blocks[1].rows) == 3


def test_where_it_applies() -> None:
    model = ModelRef(digest="m", name="m", source="factory", entry={}, architecture="net", modality="image", outputs=3)
    rows = DataRef(digest="d", name="d", source="tensors", entry={}, modality="image", rows=9, used=9)
    assert Agreement().applies(Subject(model=model, data=rows)) is None
    assert Agreement().applies(Subject(model=model)) is not None
    assert "only one" in str(Agreement(methods=("saliency",)).applies(Subject(model=model, data=rows)))
