"""Probed: wrong labels are doubted and right ones are not, whatever the model before it is fine-tuned makes of them."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from healthy import trained
from histories import run

from auditor.artifacts.content import Content, ContentOf
from auditor.artifacts.inside import Inside, InsideOf
from auditor.artifacts.probed import Probed, ProbedOf
from auditor.artifacts.roots import Batches, Model
from auditor.methods.data.normalization import Received


@cache
def content() -> Content:
    given = trained("digits")
    subject = given.subject
    assert subject.data is not None
    return ContentOf(Batches(subject.model, subject.data, subject.runtime)).build(batches=given.loader)


def inside(rows: int, width: int = 12, fill: float | None = None) -> Inside:
    """What a network drawn at random might give: nothing of use."""
    found = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
    none = np.zeros((0, 0))
    return Inside(found if fill is None else np.full_like(found, fill), "head", Received(none, none, none, none), "")


def probed(labels: Any = None, fill: float | None = None, **more: Any) -> Probed:
    """Two thirds of the rows train, the others validate."""
    given, whole = trained("digits").subject, content()
    assert given.data is not None
    truth = whole.labels if labels is None else labels
    cut = 2 * len(truth) // 3
    sides = [_part(replace(whole, labels=truth, **more), part) for part in (slice(0, cut), slice(cut, None))]
    batches = Batches(given.model, given.data, given.runtime)
    features = InsideOf(Model(given.model, given.runtime), batches, 1000)
    need = ProbedOf(ContentOf(batches), ContentOf(batches), features, features, 1000, 0)
    inner = [inside(len(side.labels), fill=fill) for side in sides]
    return need.build(train=sides[0], validation=sides[1], train_inside=inner[0], validation_inside=inner[1])


def _part(whole: Content, rows: slice) -> Content:
    columns = {name: getattr(whole, name)[rows] for name in ("examples", "labels", "groups", "thumbnails", "simple")}
    return replace(whole, **columns)


def noisy(share: float) -> Any:
    rng, truth = np.random.default_rng(1), content().labels
    wrong = rng.random(len(truth)) < share
    return np.where(wrong, (truth + rng.integers(1, 10, len(truth))) % 10, truth)


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0.0, 0.03), (0.2, 0.13, 0.25), (1.0, 0.7, 1.0)])
def test_doubts_grow_with_wrong_labels(share: float, low: float, high: float) -> None:
    found = probed(noisy(share) if share < 1 else np.random.default_rng(2).permutation(content().labels))
    assert low <= found.doubted.mean() <= high
    counted = found.probe()
    assert counted is not None and counted.doubted == found.doubted.sum() and counted.n == len(found.examples)


def test_the_doubted_rows_are_the_wrong_ones() -> None:
    labels = noisy(0.2)
    found = probed(labels)
    wrong = (labels != content().labels)[: 2 * len(labels) // 3]
    assert (found.doubted & wrong).sum() > 0.7 * wrong.sum() and (found.doubted & ~wrong).sum() < 0.05 * len(wrong)


def test_a_good_probe_is_as_good_on_validation_rows() -> None:
    found = probed()
    assert found.right.mean() > 0.85 and abs(found.right.mean() - found.held.mean()) < 0.08


@pytest.mark.parametrize("fill", [np.nan, np.inf])
def test_features_that_are_not_finite_are_left_out_and_said(fill: float) -> None:
    found = probed(fill=fill)
    assert found.blind and found.right.mean() > 0.85 and "not finite" in found.notes()[0]
    assert not probed(fill=0.0).blind, "a dead start is no fault of the labels"


def test_classes_of_few_examples_are_left_out_and_said() -> None:
    labels = np.where(content().labels == 3, 4, content().labels)
    labels[:5] = 3
    found = probed(labels)
    assert (
        len(found.small) == 1 and len(found.right) == 2 * len(labels) // 3 - 5 and "fewer than 20" in found.notes()[0]
    )
    lonely = probed(np.zeros_like(labels))
    assert lonely.probe() is None and len(lonely.right) == 0


def test_groups_are_held_out_whole_and_counted() -> None:
    groups = tuple(f"writer{row // 10}" for row in range(len(content().labels)))
    counted = probed(groups=groups).probe()
    assert counted is not None and counted.noise[1] == counted.units < counted.n


def test_copies_of_a_wrong_label_do_not_vouch_for_it() -> None:
    """Each of the training rows stands there eight times: only the rows that differ are evidence."""
    labels = noisy(0.2)
    rows = np.concatenate([np.tile(np.arange(240), 8), np.arange(240, len(labels))])
    whole = content()
    again = {name: getattr(whole, name)[rows] for name in ("thumbnails", "simple")}
    more = dict(again, examples=tuple(whole.examples[row] for row in rows))
    cut = 2 * len(rows) // 3
    found, wrong = probed(labels[rows], **more), (labels != whole.labels)[rows][:1000]
    assert cut > 1000 == found.looked and found.copied == 760 and "760 of 1000" in found.notes()[0]
    assert found.doubted.mean() > 0.12 and (found.doubted & wrong).sum() > 0.5 * wrong.sum()
    counted = found.probe()
    known = found.known([run(train_rows=1000, validation_rows=2)])
    assert counted is not None and counted.units == known.train_units == 240 and known.validation_units is None


def test_a_class_of_one_group_cannot_be_judged() -> None:
    """Held out whole, its class is unknown to the probe, whatever the labels are."""
    labels = content().labels
    alone = tuple("the only one" if label == 3 else f"writer{row // 10}" for row, label in enumerate(labels))
    found = probed(groups=alone)
    name = content().classes[3]
    assert found.small == (name,) and name not in found.labels and found.doubted.mean() < 0.05
    assert len(found.right) == len(found.examples) < found.looked and found.right.mean() > 0.85
    every = probed(groups=tuple(map(str, labels)))
    assert every.probe() is None and not len(every.right)
