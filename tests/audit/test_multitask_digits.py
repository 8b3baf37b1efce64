"""Two tasks on one small network, from the spec to the report: what they cost each other, and labels that fight."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auditor.audit import Options, Outcome, run

ASSETS = Path(__file__).parents[2] / "specs" / "assets"
pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]
SPEC = """
auditor: 1
name: tasks
models:
  early: {source: transformers, path: digits-early}
  both:
    finetune:
      from: early
      tasks: {TASKS}
      optimizer: adamw
      lr: 4e-3
      RECIPE
      record_every: 2
      validation_rows: 128
data:
  train: {source: tensors, path: train.npz, targets: digit}
  eval: {source: tensors, path: eval.npz, targets: digit}
  train-parity: {source: tensors, path: train.npz, targets: parity}
  eval-parity: {source: tensors, path: eval.npz, targets: parity}
  train-turned: {source: tensors, path: train.npz, targets: turned}
  eval-turned: {source: tensors, path: eval.npz, targets: turned}
defaults: {model: both, data: eval}
run: {device: cpu, seed: 0, threads: 1, timeout: 5m}
checks:
  - {use: task.performance, expect: {accuracy: ">= 0.7"}}
  - {use: optimizability.multitask, expect: {gradient_conflict: "<= 0.7", task_gap: "<= 15 pp"}}
  - {id: early, use: optimizability.multitask, model: early}
"""
DIGIT = "digit: {data: train, validation: eval}"


def audited(folder: Path, tasks: str, recipe: str) -> Outcome:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # it ships no stubs

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    inputs, digit = (digits.images / 16).astype(np.float32)[:, None], digits.target.astype(np.int64)
    for split, rows in (("train", order[:1200]), ("eval", order[1200:])):
        labels = {"digit": digit[rows], "parity": digit[rows] % 2, "turned": (digit[rows] + 5) % 10}
        np.savez(folder / f"{split}.npz", inputs=inputs[rows], **labels)
    shutil.copytree(ASSETS / "digits-early", folder / "digits-early")
    (folder / "spec.yaml").write_text(SPEC.replace("TASKS", tasks).replace("RECIPE", recipe))
    return run(folder / "spec.yaml", Options(cache=folder / "cache", out=folder / "runs"))


def check(outcome: Outcome, name: str) -> Any:
    return next(each for each in outcome.report.checks if each.id == name)


def test_two_tasks_that_get_along_pass(tmp_path: Path) -> None:
    parity = "parity: {data: train-parity, validation: eval-parity, head: {classes: 2}, weight: 0.5}"
    outcome = audited(tmp_path, f"{DIGIT}, {parity}", "steps: 60\n      seeds: 5")
    found = check(outcome, "multitask")
    assert outcome.exit_code == 0, outcome.report.audit.reason
    assert {(one.name, one.of, one.n) for one in found.measurements} == {
        ("gradient_conflict", "digit, parity", 5), ("task_gap", "digit", 5), ("task_gap", "parity", 5),
    }  # fmt: skip
    assert len(found.blocks) == 4
    assert check(outcome, "early").outcome == "skipped" and "tasks: {A: " in check(outcome, "early").reason
    page = (outcome.folder / "report.html").read_text()
    assert "digit (train, eval); parity (train-parity, eval-parity, weight 0.5)" in page
    assert (outcome.folder / "report.pdf").stat().st_size > 10_000


def test_labels_that_fight_for_the_trunk_fail(tmp_path: Path) -> None:
    """Both tasks have the parent's head, frozen, and each digit another name in each: only the trunk could tell."""
    turned = "turned: {data: train-turned, validation: eval-turned}"
    outcome = audited(tmp_path, f"{DIGIT}, {turned}", "steps: 60\n      seeds: 5\n      freeze: ['classifier*']")
    verdicts = {(one.metric, one.of): one.outcome for one in check(outcome, "multitask").verdicts}
    assert verdicts == {
        ("gradient_conflict", "digit, turned"): "fail", ("task_gap", "digit"): "fail", ("task_gap", "turned"): "fail",
    }  # fmt: skip
