"""Doubtful labels, the two-sample test and the normalization layer's memory, against scikit-learn and by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from auditor.methods.data import simple
from auditor.methods.data.inside import Watched
from auditor.methods.data.labels import (
    confident_disagreement,
    folds,
    large_enough,
    out_of_fold,
    reduced,
    standardized,
)
from auditor.methods.data.normalization import Received
from auditor.methods.data.shift import of_feature, placements, two_sample


def blobs(n: int = 400, apart: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 4
    return rng.normal(size=(n, 8)) + apart * np.eye(4, 8)[labels], labels


@pytest.mark.parametrize(("noise", "low", "high"), [(0.0, 0.0, 0.004), (0.2, 0.17, 0.23), (1.0, 0.6, 0.8)])
def test_wrong_labels_are_doubted_and_right_ones_are_not(noise: float, low: float, high: float) -> None:
    features, truth = blobs(apart=7.0)
    rng = np.random.default_rng(1)
    wrong = rng.permutation(len(truth)) < noise * len(truth)
    labels = np.where(wrong, rng.permutation(truth) if noise == 1 else (truth + rng.integers(1, 4)) % 4, truth)
    doubted = confident_disagreement(out_of_fold(features, labels, (), 0), labels)
    assert low <= doubted.mean() <= high
    if noise == 0.2:
        assert (doubted == wrong).mean() > 0.97


def test_shares_out_of_fold_are_probabilities_that_never_saw_their_row() -> None:
    features, labels = blobs(80)
    shares = out_of_fold(features, labels, (), 0)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-9)
    memory = np.eye(80)  # each row can be known by heart, and nothing else: held out, this is worthless
    assert (out_of_fold(memory, labels, (), 0).argmax(1) == labels).mean() < 0.5


def test_groups_are_held_out_together() -> None:
    groups = tuple(f"g{row // 10}" for row in range(100))
    for fit, held in folds(np.arange(100) % 2, groups, 0):
        assert not {groups[row] for row in fit} & {groups[row] for row in held}


def test_classes_of_fewer_than_twenty_are_left_out() -> None:
    labels = np.repeat([0, 1, 2], [30, 19, 20])
    assert set(labels[large_enough(labels)].tolist()) == {0, 2}


def test_columns_are_standardized_and_many_are_reduced() -> None:
    table = np.random.default_rng(0).normal(3, 2, (100, 90))
    table[:, 0] = 5
    assert reduced(table, 0).shape == (100, 64)
    assert np.abs(standardized(table)[:, 0]).max() == 0
    np.testing.assert_allclose(standardized(table)[:, 1:].std(0), 1)


def test_the_auroc_of_a_feature_is_scikit_learns_with_delongs_error() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=150).round(1), rng.normal(0.5, 1, size=100).round(1)
    found = of_feature(first, second, ((), ()))
    side = np.repeat([0, 1], [150, 100])
    assert found.value == pytest.approx(roc_auc_score(side, np.concatenate([first, second])))
    drawn = [roc_auc_score(side, np.concatenate([rng.choice(first, 150), rng.choice(second, 100)])) for _ in range(400)]
    assert found.error == pytest.approx(np.std(drawn), rel=0.15)
    above, below = placements(first, second)
    assert above.mean() == pytest.approx(below.mean())


def test_samples_of_one_kind_cannot_be_told_apart_and_others_can() -> None:
    rng = np.random.default_rng(0)
    one, same, other = rng.normal(size=(300, 20)), rng.normal(size=(200, 20)), rng.normal(size=(200, 20))
    other[:, 7] += 1.0
    assert abs(two_sample(one, same, ((), ()), 0).value - 0.5) < 0.08
    found = two_sample(one, other, ((), ()), 0)
    assert found.value - 3 * found.error > 0.6
    assert two_sample(one, other + 5, ((), ()), 0).value == pytest.approx(1)


@pytest.mark.slow
def test_the_interval_of_the_two_sample_test_holds_one_half_for_samples_of_one_kind() -> None:
    rng, inside = np.random.default_rng(0), 0
    for seed in range(60):
        found = two_sample(rng.normal(size=(200, 15)), rng.normal(size=(120, 15)), ((), ()), seed)
        inside += abs(found.value - 0.5) <= 1.96 * found.error
    assert inside >= 54


def test_a_layer_that_receives_what_it_remembers_shows_no_shift() -> None:
    rng = np.random.default_rng(0)
    places = rng.normal(2.0, 3.0, (500, 4, 36))
    received = Received(places.mean(2), (places**2).mean(2), np.full(4, 2.0), np.full(4, 9.0))
    rows = np.arange(500)
    assert received.mean_shift(rows) < 0.02 and received.variance_shift(rows) < 0.03
    moved = Received(places.mean(2), (places**2).mean(2), np.full(4, 5.0), np.full(4, 9.0 / np.e))
    assert moved.mean_shift(rows) == pytest.approx(np.sqrt(np.e), rel=0.02)
    assert moved.variance_shift(rows) == pytest.approx(1.0, abs=0.03)
    value, drawn, n = received.shifts([], 0)["mean"]
    assert drawn[0] <= value * 1.5 and n == 500
    assert received.shifts([f"g{row // 10}" for row in range(500)], 0)["mean"][2] == 50


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(6, 3)  # registered first, run last
        self.conv, self.norm, self.other = nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.other(self.norm(self.conv(x)).mean((2, 3))))


def test_the_head_and_the_first_normalization_layer_are_found_by_running() -> None:
    torch.manual_seed(0)
    net, inputs = Net().eval(), torch.randn(7, 1, 5, 5)
    with Watched(net, net) as watched:
        watched.see(inputs[:4])
        watched.see(inputs[4:])
    assert (watched.head, watched.normalization) == ("last", "norm")
    entered = net.conv(inputs).detach().double()
    received = watched.received(6)
    np.testing.assert_allclose(received.mean, entered[:6].mean((2, 3)).numpy())
    np.testing.assert_allclose(received.square, entered[:6].square().mean((2, 3)).numpy())
    features = net.other(net.norm(net.conv(inputs)).mean((2, 3))).detach().numpy()
    np.testing.assert_allclose(np.concatenate(watched.features), features, atol=1e-6)
    assert not any(part._forward_pre_hooks for part in net.modules())


def test_a_model_without_head_or_running_statistics_gives_its_logits() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 5), nn.Flatten())
    with Watched(net, net) as watched:
        watched.see(torch.ones(2, 1, 5, 5))
    assert (watched.head, watched.normalization) == ("", "")
    assert watched.features[0].shape == (2, 3) and watched.received(2).mean.shape == (0, 0)


def test_simple_features_are_what_their_names_say() -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    found = dict(zip(simple.OF_PICTURES, simple.of_picture(red), strict=True))
    assert found == pytest.approx(
        {"brightness": 1 / 3, "contrast": 0, "red": 1, "green": 0, "blue": 0, "saturation": 1, "edges": 0}
    )
    text = dict(zip(simple.OF_TEXTS, simple.of_text("AB c1!é"), strict=True))
    assert text["words"] == pytest.approx(np.log(3)) and text["letters a word"] == 3.5
    assert [text[name] * 7 for name in simple.OF_TEXTS[3:]] == pytest.approx([2, 1, 1, 1])
    assert len(simple.of_text("")) == len(simple.OF_TEXTS)
