"""optimizability.transferability: a trained network beats its random twin; shuffled labels bring it down to chance."""

from typing import Any

import numpy as np
import pytest
import torch
from healthy import Trained, of, trained

from auditor.artifacts.inside import Inside
from auditor.artifacts.roots import Batches, Model
from auditor.artifacts.transfer import RandomModel, Transfer, transfer_of
from auditor.checks.optimizability.transferability import Transferability
from auditor.evidence import Counts, Evidence
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
