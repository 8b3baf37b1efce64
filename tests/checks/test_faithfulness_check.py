"""interpretability.faithfulness: planted curves, the worse fill, the ranking, what is left out, what is shown."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from auditor.artifacts.explained import Explained
from auditor.artifacts.faithfulness import Faithfulness as Found
from auditor.artifacts.faithfulness import FaithfulnessNeed
from auditor.blocks import Bars, Lines, Table
from auditor.checks.interpretability.faithfulness import Faithfulness
from auditor.errors import NotApplicable
from auditor.evidence import Evidence, Measurement, Moments
from auditor.statistics import t_interval
from auditor.subject import DataRef, ModelRef, Subject

N, POINTS = 60, 8
X = np.arange(POINTS + 1) / POINTS


def explained(**more: Any) -> Explained:
    index = np.zeros(N, dtype=np.int64)
    names = tuple(f"x{k}" for k in range(N))
    return Explained(index, index, index, np.ones(N, dtype=np.float32), names, classes=("cat",), **more)


def found(bends: dict[str, tuple[float, float]], modality: str = "image", **more: Any) -> Found:
    """Curves 1 - x^bend under two fills, each bend with noise by example; the null is straight. A bend below 1 falls
    sooner: its gain is 1/2 - bend / (bend + 1)."""
    rng = np.random.default_rng(0)
    shape = (len(bends), 2, N, POINTS + 1)
    noisy = np.array(list(bends.values()))[:, :, None] * np.exp(rng.normal(0, 0.2, (len(bends), 2, N)))
    falling = (1 - X ** noisy[..., None]).astype(np.float32)
    straight = np.broadcast_to(1 - X, shape).astype(np.float32)
    eraser = {} if modality != "text" else {
        "comprehensiveness": np.full(shape[:3], 0.4, np.float32) + 0.1 * noisy.astype(np.float32),
        "sufficiency": 0.1 * noisy.astype(np.float32),
    }  # fmt: skip
    plain: dict[str, Any] = {
        "methods": tuple(bends), "fills": ("mean", "blur"), "fractions": np.tile(X, (N, 1)),
        "full": np.ones(N, np.float32), "gone": np.zeros((2, N), np.float32),
        "deletion": falling, "insertion": (1 - falling), "deletion_null": straight, "insertion_null": 1 - straight,
        "random": straight[0], "naopc": (1 / (1 + noisy)).astype(np.float32),
        "naopc_range": np.ones((2, N), np.float32),
        "eraser": eraser, "empty": np.zeros((len(bends), N), bool), "parts": np.full(N, 64), "explained": explained(),
        "groups": 6,
    }  # fmt: skip
    return Found(**(plain | more))


def value(evidence: Evidence, name: str, of: str = "") -> Measurement:
    return next(each for each in evidence.measurements if (each.name, each.of) == (name, of))


def low(measurement: Measurement) -> float:
    assert isinstance(measurement.distribution, Moments)
    return t_interval(measurement.distribution.mean, measurement.distribution.sd, measurement.n, 0.95)[0]


def test_a_map_that_falls_sooner_than_its_null_gains_by_the_area_between() -> None:
    evidence = Faithfulness().measure(found=found({"saliency": (0.5, 0.5)}), seed=0)
    gain = value(evidence, "deletion_gain")
    assert gain.value == pytest.approx(0.5 - 1 / 3, abs=0.03) and low(gain) > 0 and gain.n == N
    assert low(value(evidence, "insertion_gain")) > 0 and low(value(evidence, "naopc")) > 0.5


def test_a_map_no_better_than_its_null_does_not_pass_and_a_worse_one_loses() -> None:
    same = Faithfulness().measure(found=found({"saliency": (1.0, 1.0)}), seed=0)
    assert low(value(same, "deletion_gain")) < 0.01
    worse = Faithfulness().measure(found=found({"saliency": (2.0, 2.0)}), seed=0)
    assert value(worse, "deletion_gain").value < -0.1 and value(worse, "insertion_gain").value < -0.1


def test_the_worse_fill_is_measured_and_both_are_shown() -> None:
    evidence = Faithfulness().measure(found=found({"saliency": (0.4, 0.9)}), seed=0)
    other = Faithfulness().measure(found=found({"saliency": (0.9, 0.9)}), seed=0)
    assert value(evidence, "deletion_gain").value == pytest.approx(value(other, "deletion_gain").value, abs=0.02)
    table = evidence.blocks[-1]
    assert isinstance(table, Table) and table.rows[0][2] > table.rows[1][2] + 0.1  # type: ignore[operator]  # floats


def test_several_methods_are_measured_each_and_the_best_is_chosen_and_tested_apart() -> None:
    evidence = Faithfulness().measure(found=found({"saliency": (0.9, 0.9), "grad_cam": (0.4, 0.4)}), seed=0)
    assert value(evidence, "deletion_gain", "grad_cam").value > value(evidence, "deletion_gain", "saliency").value
    bars = evidence.blocks[0]
    assert isinstance(bars, Bars) and "Use Grad-CAM here" in bars.reading and "30 examples" in bars.reading
    assert [bar.label for bar in bars.bars] == ["over its rolled map", "over saliency"]
    assert all(bar.low is not None and bar.low > 0 for bar in bars.bars)


def test_equal_methods_are_not_ranked_by_luck() -> None:
    evidence = Faithfulness().measure(found=found({"saliency": (0.5, 0.5), "grad_cam": (0.5, 0.5)}), seed=0)
    assert isinstance(evidence.blocks[0], Bars) and "not shown against every" in evidence.blocks[0].reading
    none = Faithfulness().measure(found=found({"saliency": (2.0, 2.0), "grad_cam": (1.8, 1.8)}), seed=0)
    assert isinstance(none.blocks[0], Bars) and "trust none" in none.blocks[0].reading


def test_curves_are_shown_with_bands_beside_their_nulls() -> None:
    evidence = Faithfulness().measure(found=found({"saliency": (0.5, 0.9)}), seed=0)
    deletion, insertion = (block for block in evidence.blocks if isinstance(block, Lines))
    labels = ["saliency", "the same map, rolled", "random scattered parts"]
    assert [line.label for line in deletion.lines] == [line.label for line in insertion.lines] == labels
    assert "a blur in place" in deletion.reading and "put back" in insertion.x_label
    line = deletion.lines[0]
    assert all(one <= y <= other for one, y, other in zip(line.low, line.y, line.high, strict=True))
    assert (line.x[0], line.x[-1], line.y[0], line.y[-1]) == (0, 100, 1, 0)


def test_the_foremost_three_methods_are_drawn() -> None:
    bends = {"saliency": (1.0, 1.0), "grad_cam": (0.4, 0.4), "occlusion": (0.6, 0.6), "rise": (0.5, 0.5)}
    evidence = Faithfulness().measure(found=found(bends), seed=0)
    drawn = [block.title for block in evidence.blocks if isinstance(block, Lines)]
    assert [title.partition(":")[0] for title in drawn[::2]] == ["Grad-CAM", "RISE", "occlusion"]


def test_samples_hold_each_examples_value() -> None:
    evidence = Faithfulness().measure(found=found({"saliency": (0.5, 0.5), "grad_cam": (0.7, 0.7)}), seed=0)
    column = evidence.samples["deletion_gain[grad_cam]"]
    assert np.mean(column) == pytest.approx(value(evidence, "deletion_gain", "grad_cam").value)
    assert len(column) == len(evidence.examples) == N


def test_examples_that_removal_does_not_move_are_left_out_and_counted() -> None:
    plain = found({"saliency": (0.5, 0.5)})
    gone = plain.gone.copy()
    gone[1, :6] = 1.0
    evidence = Faithfulness().measure(found=replace(plain, gone=gone), seed=0)
    assert value(evidence, "deletion_gain").n == N - 6 and "6 of 60 examples are left out" in evidence.notes[0]
    with pytest.raises(NotApplicable, match="hardly moves"):
        Faithfulness().measure(found=replace(plain, gone=np.ones((2, N), np.float32)), seed=0)


def test_maps_without_any_order_are_counted() -> None:
    empty = np.zeros((1, N), bool)
    empty[0, :7] = True
    evidence = Faithfulness().measure(found=found({"grad_cam": (0.5, 0.5)}, empty=empty), seed=0)
    assert "7 of 60 maps of grad_cam have one value everywhere: their order is random." in evidence.notes


def test_texts_have_the_measures_of_eraser_and_the_worse_fill_is_the_higher_sufficiency() -> None:
    evidence = Faithfulness().measure(found=found({"saliency": (0.5, 1.0)}, "text"), seed=0)
    assert value(evidence, "comprehensiveness").value == pytest.approx(0.45, abs=0.01)
    assert value(evidence, "sufficiency").value == pytest.approx(0.1, abs=0.01)
    assert {each.name for each in evidence.measurements} == {
        "deletion_gain", "insertion_gain", "naopc", "comprehensiveness", "sufficiency",
    }  # fmt: skip


def test_more_than_ten_groups_are_searched_by_beam_and_named_so() -> None:
    evidence = Faithfulness().measure(found=found({"saliency": (0.5, 0.5)}, groups=12), seed=0)
    few = Faithfulness().measure(found=found({"saliency": (0.5, 0.5)}, groups=30, parts=np.full(N, 9)), seed=0)
    assert value(evidence, "naopc_beam").n == N and value(few, "naopc").n == N


def test_groups_are_the_unit_where_there_are_some() -> None:
    told = explained(groups=tuple(f"g{k // 2}" for k in range(N)))
    evidence = Faithfulness().measure(found=found({"saliency": (0.5, 0.5)}, explained=told), seed=0)
    gain = value(evidence, "deletion_gain")
    assert (gain.n, gain.unit_of_resampling) == (N // 2, "group")


def test_probabilities_are_not_normalized() -> None:
    plain = found({"saliency": (0.5, 0.5)})
    halved = {name: 0.5 * getattr(plain, name) for name in ("deletion", "insertion", "deletion_null", "insertion_null")}
    one = Faithfulness(scale="probability").measure(found=replace(plain, **halved), seed=0)
    other = Faithfulness().measure(found=plain, seed=0)
    assert value(one, "deletion_gain").value == pytest.approx(value(other, "deletion_gain").value / 2)


def subject(modality: Any = "image", task: Any = "classification", data: bool = True) -> Subject:
    model = ModelRef(digest="m", name="m", source="factory", entry={}, architecture="net", modality=modality, task=task)
    rows = DataRef(digest="d", name="d", source="tensors", entry={}, modality=modality, rows=9, used=9)
    return Subject(model=model, data=rows if data else None)


@pytest.mark.parametrize("modality", ["image", "text", "tabular"])
def test_it_asks_for_maps_that_suit_the_modality(modality: str) -> None:
    need = Faithfulness().needs(subject(modality))["found"]
    assert isinstance(need, FaithfulnessNeed) and len(need.maps) == len(need.methods) >= 2
    assert ("grad_cam" in need.methods) == (modality == "image")
    assert need.key == Faithfulness().needs(subject(modality))["found"].key
    assert need.key != Faithfulness(steps=8).needs(subject(modality))["found"].key
    assert need.cost().forwards > 500


def test_where_it_applies() -> None:
    assert Faithfulness().applies(subject()) is None
    assert Faithfulness().applies(subject(data=False)) is not None
    assert "encoder" in str(Faithfulness().applies(subject(task="encoder")))
