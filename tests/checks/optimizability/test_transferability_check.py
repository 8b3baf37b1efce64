"""optimizability.transferability: a trained network beats its random twin; shuffled labels bring it down to chance."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from healthy import Trained, of, trained

from auditor.artifacts.inside import Inside
from auditor.artifacts.roots import Batches, Model
from auditor.artifacts.transfer import RandomModel, Transfer, transfer_of
from auditor.blocks import Bars
from auditor.checks.optimizability.transferability import Transferability
from auditor.errors import AuditorError, NotApplicable
from auditor.evidence import Counts, Evidence
from auditor.judge.intervals import interval
from auditor.methods.data.normalization import Received
from auditor.sources.models.loaded import LoadedModel
from auditor.subject import Subject


def found(given: Trained, rows: int = 400, labels: Any = None) -> Transfer:
    need = transfer_of(given.subject, rows)
    twin = need.random.model.load(None, **given.upstream())  # type: ignore[arg-type]  # it reads no files
    inside = {"own": _inside(given, given.model, rows), "random": _inside(given, twin, rows)}
    if labels is not None:
        object.__setattr__(given.loader.dataset, "targets", lambda: labels)
    return need.build(batches=given.loader, **inside)


def _inside(given: Trained, model: LoadedModel, rows: int) -> Inside:
    ref, data, runtime = given.subject.model, given.subject.data, given.subject.runtime
    assert data is not None
    need = transfer_of(given.subject, rows).own
    assert need.model == Model(ref, runtime) and need.batches == Batches(ref, data, runtime)
    return need.build(model=model, batches=given.loader)


def value(evidence: Evidence, name: str) -> float:
    return next(each.value for each in evidence.measurements if each.name == name)


@pytest.fixture(scope="module")
def healthy() -> Transfer:
    return found(trained("digits"))


def test_a_trained_network_beats_its_random_twin_and_majority(healthy: Transfer) -> None:
    evidence = Transferability().measure(found=healthy)
    assert value(evidence, "linear_probe_accuracy") >= 0.9 and value(evidence, "knn_accuracy") >= 0.9
    assert healthy.own.probe.mean() > healthy.majority.mean() + 0.5
    assert healthy.own.logme > healthy.random.logme
    counted = evidence.measurements[0].distribution
    assert isinstance(counted, Counts) and counted.n == 400
    assert "The features are what enters layer head: 256 numbers an example." in evidence.notes


def test_labels_that_have_nothing_to_do_with_the_inputs_bring_it_down_to_chance() -> None:
    given = trained("digits")
    shuffled = tuple(np.random.default_rng(0).permutation(given.loader.dataset.targets()).tolist())
    evidence = Transferability().measure(found=found(given, labels=shuffled))
    assert value(evidence, "linear_probe_accuracy") < 0.2 and value(evidence, "knn_accuracy") < 0.2


def asked(features: Any, labels: Any, examples: Any = None, groups: Any = None) -> Transfer:
    """The need built on these rows instead of digits."""
    given = trained("digits")
    need, n = transfer_of(given.subject, 400), len(labels)
    names = tuple(map(str, examples if examples is not None else range(n)))
    held = replace(given.loader.dataset, labels=("0",) * n, examples=names, groups=tuple(groups or ("",) * n))
    object.__setattr__(held, "targets", lambda: tuple(labels))
    whole = replace(given.loader, dataset=held)
    nothing = Received(*[np.zeros((0, 0))] * 4)
    inside = Inside(np.asarray(features, dtype=np.float32)[list(whole.order)], "head", nothing, "")
    return need.build(batches=whole, own=inside, random=inside)


def test_copies_of_an_example_do_not_tell_its_label() -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 8)), rng.integers(0, 3, 60)
    four = asked(np.repeat(features, 4, axis=0), np.repeat(labels, 4), np.repeat(np.arange(60), 4))
    evidence = Transferability().measure(found=four)
    assert value(evidence, "knn_accuracy") < 0.6, "1.0 where copies voted"
    assert evidence.measurements[0].n == len(evidence.examples) == 60
    assert "180 of 240 examples are copies of others and are left out." in evidence.notes


def test_one_class_rare_classes_and_broken_features_are_told() -> None:
    features = np.random.default_rng(0).normal(size=(60, 8))
    with pytest.raises(NotApplicable, match="all 60 examples have one label"):
        asked(features, [1] * 60)
    with pytest.raises(NotApplicable, match="no class has 5 examples"):
        asked(features, np.arange(60) // 2)
    features[3, 2] = np.nan
    with pytest.raises(AuditorError, match=r"not finite .* on 1 of 60 examples"):
        asked(features, np.arange(60) % 3)


def test_the_figure_has_the_intervals_of_the_measurements() -> None:
    """Groups that agree within themselves are worth as many examples as there are groups."""
    rng = np.random.default_rng(0)
    centres, labels = rng.normal(size=(60, 8)), np.repeat(rng.integers(0, 2, 60), 5)
    features = np.repeat(centres, 5, axis=0) + 0.01 * rng.normal(size=(300, 8))
    found = Transferability().measure(found=asked(features, labels, groups=[f"g{row // 5}" for row in range(300)]))
    bars = next(block for block in found.blocks if isinstance(block, Bars)).bars
    measured = {"neighbours, model": found.measurements[0], "probe, model": found.measurements[1]}
    for bar in bars:
        if bar.label in measured:
            assert (bar.low, bar.high) == pytest.approx(interval(measured[bar.label], 0.95))


def test_the_random_twin_leaves_the_model_alone_and_repeats() -> None:
    given = trained("breast_cancer")
    before = {name: tensor.clone() for name, tensor in given.model.module.state_dict().items()}
    subject = given.subject
    assert subject.data is not None
    need = RandomModel(
        Model(subject.model, subject.runtime), Batches(subject.model, subject.data, subject.runtime), 64, 0
    )
    twins = [need.load(None, **given.upstream()).module.state_dict() for _ in range(2)]  # type: ignore[arg-type]
    assert all(torch.equal(before[name], tensor) for name, tensor in given.model.module.state_dict().items())
    assert all(torch.equal(twins[0][name], twins[1][name]) for name in before)
    assert not torch.equal(twins[0]["0.weight"], before["0.weight"])


def test_a_network_without_a_linear_head_is_seen_through_its_outputs() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 10, 8), torch.nn.Flatten())
    evidence = Transferability().measure(found=found(of("digits", module.eval(), 200), 200))
    assert any("the model's outputs" in note for note in evidence.notes)


def test_it_needs_labels() -> None:
    subject: Subject = trained("digits").subject
    assert subject.data is not None
    bare = subject.data.model_copy(update={"labelled": False})
    assert Transferability().applies(subject) is None
    assert "has none" in str(Transferability().applies(subject.model_copy(update={"data": bare})))
    assert "labelled data" in str(Transferability().applies(subject.model_copy(update={"data": None})))
