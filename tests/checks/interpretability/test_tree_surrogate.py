"""interpretability.tree_surrogate: models that are rules, models that are not, and models that say one thing only."""

from pathlib import Path
from typing import Any

import healthy
import numpy as np
import pytest
from healthy import Trained
from making import evidence
from torch import nn

from auditor.artifacts.features import Features
from auditor.blocks import Lines, Table
from auditor.checks.interpretability.tree_surrogate import TreeSurrogate
from auditor.errors import NotApplicable
from auditor.evidence import Counts, Evidence
from auditor.execute.codec import decode, encode
from auditor.execute.sweep import sweep
from auditor.judge.bounds import claim
from auditor.judge.intervals import interval
from auditor.judge.minimum import obstacle
from auditor.spec.model import Rule

N = 240


def features(said: str, n: int = N, **more: Any) -> Features:
    """Three columns and the labels of a model that is a rule, that is chance, or that always says the same."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(n, 3)).astype(np.float32)
    rule = ((table[:, 0] > 0) & (table[:, 1] > -0.5)).astype(np.int64)
    predicted = {"rule": rule, "chance": rng.integers(0, 2, n), "constant": np.zeros(n, dtype=np.int64)}[said]
    names = tuple(f"x{row}" for row in range(n))
    return Features(table, ("age", "income", "noise"), "", predicted, ("no", "yes"), names, **more)


def one(found: Evidence, name: str) -> Any:
    return next(m for m in found.measurements if m.name == name)


def outcome(found: Evidence, name: str, bound: float) -> str:
    asked = claim(Rule(check="c", metric=name, set_by="spec.yaml:1", at_least=bound))
    return asked.outcome(interval(one(found, name), 0.95))


def audited(given: Trained, **params: Any) -> Evidence:
    check = TreeSurrogate(**params)
    need: Any = check.needs(given.subject)["features"]
    found = sweep([need], given.model, given.loader)[need.key]
    assert isinstance(found, Features), found
    return check.measure(features=decode(*encode(found), Features), seed=1)


BOUNDS = {"fidelity": 0.8, "fidelity_gain": 0.1, "kappa": 0.5}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_model_that_is_a_rule_passes_and_one_of_chance_fails(name: str) -> None:
    rule, chance = (TreeSurrogate().measure(features=features(said), seed=1) for said in ("rule", "chance"))
    assert outcome(rule, name, BOUNDS[name]) == "pass"
    assert outcome(chance, name, BOUNDS[name]) == "fail"


def test_the_rules_name_the_columns_and_are_judged_on_held_out_examples() -> None:
    found = TreeSurrogate(depth=2).measure(features=features("rule"), seed=1)
    lines, table = found.blocks
    assert isinstance(lines, Lines) and lines.lines[0].y[1] == one(found, "fidelity").value
    tree = lines.lines[0]
    assert all(low <= y <= high for low, y, high in zip(tree.low, tree.y, tree.high, strict=True))
    assert isinstance(table, Table) and sum(row[2] for row in table.rows) == N // 2  # type: ignore[misc]
    assert {word for row in table.rows for word in str(row[0]).split() if word.isalpha()} == {"age", "income", "and"}


def test_a_constant_model_is_imitated_without_a_gain_and_cannot_pass() -> None:
    found = TreeSurrogate().measure(features=features("constant"), seed=1)
    assert one(found, "fidelity").distribution == Counts(k=N // 2, n=N // 2)
    assert one(found, "fidelity_gain").value == 0 and obstacle(one(found, "fidelity_gain"), 0.95)
    assert "kappa" not in {m.name for m in found.measurements} and "kappa was not measured" in found.notes[1]


def test_a_healthy_table_model_is_described_by_its_columns() -> None:
    found = audited(healthy.trained("breast_cancer"))
    assert outcome(found, "kappa", 0.4) == "pass" and outcome(found, "fidelity_gain", 0.05) == "pass"
    assert "30 columns" in found.notes[0]


def test_pictures_are_described_by_what_enters_the_head() -> None:
    found = audited(healthy.trained("digits"), depth=8)
    assert outcome(found, "fidelity_gain", 0.3) == "pass"
    assert "16 principal components of the 256 units that enter layer head" in found.notes[0]
    units = audited(healthy.trained("digits", rows=100), components=0)
    assert "256 units that enter layer head" in units.notes[0]


def test_a_planted_constant_network_has_no_gain() -> None:
    given = healthy.trained("digits", rows=100)
    nn.init.zeros_(given.model.module.head.weight)  # type: ignore[union-attr,arg-type]  # a DigitNet
    assert one(audited(given), "fidelity_gain").value == 0


def test_groups_are_the_unit_where_there_are_some() -> None:
    groups = tuple(f"g{row // 2}" for row in range(N))
    found = TreeSurrogate().measure(features=features("chance", groups=groups), seed=1)
    assert {one(found, name).unit_of_resampling for name in BOUNDS} == {"group"}
    assert one(found, "kappa").n == N // 4


def test_too_few_examples_are_refused_and_answers_are_repeatable() -> None:
    with pytest.raises(NotApplicable, match="10 examples in each half"):
        TreeSurrogate().measure(features=features("rule", n=15), seed=1)
    given = features("chance")
    assert TreeSurrogate().measure(features=given, seed=1) == TreeSurrogate().measure(features=given, seed=1)


def test_texts_are_described_by_what_enters_the_head(tmp_path: Path) -> None:
    found = evidence(TreeSurrogate(components=4), healthy.reviews(tmp_path, 80), tmp_path, seed=1)
    assert "4 principal components of the 8 units that enter layer classifier" in found.notes[0]
    assert one(found, "fidelity").n == len(found.examples) < 80  # equal texts stay in one half
