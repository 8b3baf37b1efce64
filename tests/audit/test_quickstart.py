"""The quickstart from spec to PDF: it passes, repeats to the bit, comes from the store, and fails when it should."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pypdf
import pytest

import auditor
from auditor.audit import Options, Outcome, run

SPECS = Path(__file__).parents[2] / "specs"
TEXT = (SPECS / "quickstart.yaml").read_text()
pytestmark = pytest.mark.timeout(600)


class Watch:
    """The events of a run, and how long it took."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.seconds = 0.0

    def run(self, spec: Path, **options: Any) -> Outcome:
        began = time.perf_counter()
        outcome = run(spec, Options(**options), self.events.append)
        self.seconds = time.perf_counter() - began
        return outcome

    def titles(self) -> list[str]:
        return [event.title for event in self.events if event.kind == "begun"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Watch]:
    watch = Watch()
    return watch.run(SPECS / "quickstart.yaml", cache=cache, out=tmp_path_factory.mktemp("runs")), watch


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[Path]:
    """A folder with the quickstart's assets, for changed copies of its spec."""
    shutil.copytree(SPECS / "assets", tmp_path / "assets")
    yield tmp_path


def test_it_passes_with_every_check_judged(first: tuple[Outcome, Watch]) -> None:
    outcome = first[0]
    assert outcome.exit_code == 0, outcome.report.audit.reason
    outcomes = {check.id: check.outcome for check in outcome.report.checks}
    assert outcomes.pop("change-rate-shipped") == "info"
    assert set(outcomes.values()) == {"pass"}, outcomes


def test_each_seed_is_trained_once_and_one_sweep_serves_three_checks(first: tuple[Outcome, Watch]) -> None:
    titles = first[1].titles()
    assert sorted(title for title in titles if title.startswith("fine-tune")) == [
        f"fine-tune finetuned, seed {seed}" for seed in range(1, 6)
    ]
    plan = json.loads((first[0].folder / "plan.json").read_text())
    sweeps = {frozenset(job["checks"]) for job in plan["jobs"] if job["kind"] == "sweep"}
    assert sweeps == {frozenset({"performance", "saliency", "grad-cam"}), frozenset({"performance-shipped"})}


def test_the_run_folder_is_whole(first: tuple[Outcome, Watch]) -> None:
    folder = first[0].folder
    names = {
        "spec.yaml", "spec.resolved.json", "plan.json", "results.json", "samples.safetensors", "junit.xml",
        "report.html", "report.pdf", "log.jsonl", "MANIFEST.json",
    }  # fmt: skip
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "spec.yaml").read_text() == TEXT
    assert (folder.parent / "latest").resolve() == folder
    attached = pypdf.PdfReader(folder / "report.pdf").attachments
    for name in ("spec.yaml", "spec.resolved.json", "results.json", "MANIFEST.json"):
        assert attached[name] == [(folder / name).read_bytes()]


def test_again_it_comes_from_the_store_and_no_worker_starts(
    first: tuple[Outcome, Watch], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_worker(*args: object, **named: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr("auditor.execute.local.Process", no_worker)
    watch = Watch()
    again = watch.run(SPECS / "quickstart.yaml", cache=cache, out=tmp_path)
    assert watch.titles() == []
    assert again.report.finding_digest == first[0].report.finding_digest
    assert all(again.report.run.cached.values())


@pytest.mark.slow
def test_fresh_again_it_finds_the_same_to_the_bit(first: tuple[Outcome, Watch], cache: Path, tmp_path: Path) -> None:
    again = auditor.run(SPECS / "quickstart.yaml", cache=cache, out=tmp_path, fresh=True, workers=2)
    assert again.report.finding_digest == first[0].report.finding_digest
    assert not any(again.report.run.cached.values())


def test_a_wrong_normalization_fails_with_the_reason_on_page_2(cache: Path, beside: Path) -> None:
    path = "path: assets/digits-shipped"
    assert TEXT.count(path + "\n") == 1
    spec = beside / "quickstart.yaml"
    spec.write_text(TEXT.replace(path + "\n", f"{path}\n    transforms: {{mean: [0.485], std: [0.229]}}\n"))
    outcome = run(spec, Options(cache=cache, out=beside / "runs"))
    assert outcome.exit_code == 1
    failed = [check.id for check in outcome.report.checks if check.outcome == "fail"]
    assert failed == ["performance-shipped"]
    _page_2_says(outcome, "accuracy", "0.93", "normalization")


def test_shuffled_labels_fail_with_the_reason_on_page_2(cache: Path, beside: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = np.random.default_rng(0).permutation(digits.target)
    np.savez(beside / "shuffled.npz", inputs=(digits.images / 16).astype(np.float32)[:, None], labels=labels)
    shuffled = "eval: {source: tensors, path: shuffled.npz}"
    original = "eval: {source: sklearn, name: digits, split: test}"
    assert original in TEXT
    spec = beside / "quickstart.yaml"
    spec.write_text(TEXT.replace(original, shuffled))
    outcome = run(spec, Options(cache=cache, out=beside / "runs", only="performance"))
    assert outcome.exit_code == 1
    assert {check.outcome for check in outcome.report.checks if check.id.startswith("performance")} == {"fail"}
    _page_2_says(outcome, "accuracy", "labels")


def _page_2_says(outcome: Outcome, *words: str) -> None:
    page = " ".join(pypdf.PdfReader(outcome.folder / "report.pdf").pages[1].extract_text().split())
    assert "Fail" in pypdf.PdfReader(outcome.folder / "report.pdf").pages[0].extract_text()
    for word in words:
        assert word in page, page
