"""interpretability.integrated_gradients: maps that add up, a planted score that jumps, what is shown, shared maps."""

from typing import Any

import numpy as np
import pytest
import torch
from asked import CONTEXT, Net, rows
from making import digits, evidence, make
from torch import Tensor, nn

from auditor.artifacts.attributions import Attributions, Lines
from auditor.artifacts.explained import Explained
from auditor.artifacts.explanations import maps_of
from auditor.blocks import Bars, Images, TokenMap
from auditor.checks.interpretability.integrated_gradients import IntegratedGradients
from auditor.checks.interpretability.saliency import Saliency
from auditor.evidence import Counts, Evidence
from auditor.methods.attribution import integrated_gradients

N = 40


class Score(nn.Module):
    """tanh(sharpness (w x - 0.1)) of a row: smooth where it is gentle, a jump where it is sharp."""

    def __init__(self, sharpness: float) -> None:
        super().__init__()
        self.sharpness = sharpness

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.tanh(self.sharpness * (inputs.sum(dim=1, keepdim=True) - 0.1))


def maps(sharpness: float, **more: Any) -> Attributions:
    inputs = rows(N).abs()
    method = integrated_gradients.IntegratedGradients("zero")
    found = method.maps(Net(Score(sharpness)), inputs, torch.zeros(N, dtype=torch.long), CONTEXT)
    lines, zero = Lines(), np.zeros(N, dtype=np.int64)
    lines.add(found, inputs)
    names = tuple(f"x{row}" for row in range(N))
    return lines.result(Explained(zero, zero, zero, np.ones(N, np.float32), names, classes=("one",), **more))


def of(found: Evidence, name: str) -> Any:
    return next(each for each in found.measurements if each.name == name)


def test_a_smooth_score_adds_up_and_a_planted_jump_does_not() -> None:
    healthy = IntegratedGradients().measure(maps=maps(1.0))
    assert of(healthy, "unconverged_share").distribution == Counts(k=0, n=N)
    assert 0 <= of(healthy, "completeness_error").value <= 0.05
    planted = IntegratedGradients().measure(maps=maps(20_000.0))
    assert of(planted, "unconverged_share").value > 0.9
    assert set(planted.samples["steps"]) <= {16.0, 32.0, 64.0, 128.0, 256.0} and 256.0 in planted.samples["steps"]


def test_every_example_stands_in_one_bar() -> None:
    found = IntegratedGradients().measure(maps=maps(6.0))
    shown, bars = found.blocks
    assert isinstance(bars, Bars) and sum(bar.value for bar in bars.bars) == N
    assert bars.bars[0].value == sum(value <= 0.005 for value in found.samples["completeness_error"])
    assert isinstance(shown, Bars) and len(shown.bars) == 5 and all(bar.value > 0 for bar in shown.bars)


def test_contributions_of_columns_keep_their_sign_and_the_strongest_come_first() -> None:
    made = maps(1.0)
    values = np.tile([1.0, -3.0, 2.0], (N, 1)).astype(np.float32)
    found = IntegratedGradients().measure(maps=Attributions(values, made.lengths, made.explained, facts=made.facts))
    shown = found.blocks[0]
    assert isinstance(shown, Bars) and [bar.value for bar in shown.bars] == [-3.0, 2.0, 1.0]


def test_tokens_have_two_colours() -> None:
    made = maps(1.0, tokens=(("[CLS]", "a", "b", "c", "[SEP]"),))
    shown = IntegratedGradients().measure(maps=made).blocks[0]
    assert isinstance(shown, TokenMap) and shown.signed and len(shown.texts[0].scores) == 5


def test_groups_are_the_unit_where_there_are_some() -> None:
    found = IntegratedGradients().measure(maps=maps(1.0, groups=tuple(f"g{row // 4}" for row in range(N))))
    assert [each.unit_of_resampling for each in found.measurements] == ["group", "group"]


def test_a_trained_network_on_digits() -> None:
    found = evidence(IntegratedGradients(rows=8), digits())
    assert of(found, "unconverged_share").n == 8 and isinstance(found.blocks[0], Images)
    subject = digits()
    made = make(maps_of(subject, "integrated_gradients", 8))
    zero = make(maps_of(subject, "integrated_gradients", 8, baseline="blur"))
    assert np.corrcoef(made.maps.ravel(), zero.maps.ravel())[0, 1] < 0.99


def test_maps_at_their_defaults_are_shared_with_other_checks() -> None:
    subject = digits()
    assert IntegratedGradients().needs(subject)["maps"] == maps_of(subject, "integrated_gradients", 32)
    assert IntegratedGradients(baseline="blur").needs(subject)["maps"] != maps_of(subject, "integrated_gradients", 32)
    assert Saliency(smooth=16).needs(subject)["maps"] == maps_of(subject, "smoothgrad", 32)
    assert maps_of(subject, "occlusion", 32).cost().forwards == 2 * 65
    assert IntegratedGradients(target="class:10").applies(subject) is not None


@pytest.mark.parametrize("smooth", [0, 3])
def test_saliency_may_be_smoothed(smooth: int) -> None:
    found = evidence(Saliency(smooth=smooth, rows=16), digits())
    images = found.blocks[0]
    assert isinstance(images, Images) and images.rows[1].label == ("SmoothGrad" if smooth else "saliency")
    assert of(found, "all_zero_share").value == 0


def test_a_score_that_never_changes_adds_up_and_is_said_to_explain_nothing() -> None:
    found = IntegratedGradients().measure(maps=maps(0.0))
    assert of(found, "unconverged_share").value == 0 and found.notes[0].startswith("40 of 40 maps are zero everywhere")
