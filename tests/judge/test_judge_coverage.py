"""The benchmark of the judge's coverage, with fewer audits and the room that chance then needs."""

import importlib.util
import sys
from math import sqrt
from pathlib import Path
from types import ModuleType

import pytest

AUDITS = 400
ROOM = 4 * sqrt(0.95 * 0.05 / AUDITS)  # four standard errors of one cell


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "judge_coverage.py"
    spec = importlib.util.spec_from_file_location("judge_coverage", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["judge_coverage"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 100, 1000])
@pytest.mark.parametrize("method", ["proportion (Wilson)", "mean (t)", "paired change (t)", "gap of rates (Newcombe)"])
def test_intervals_hold_the_truth_as_often_as_promised(benchmark: ModuleType, method: str, n: int) -> None:
    shares = benchmark.coverage(benchmark.METHODS[method], n, AUDITS, seed=1)
    room = ROOM / sqrt(len(shares))
    assert 0.935 - room <= sum(shares) / len(shares) <= 0.965 + room
    assert min(shares) >= 0.92 - ROOM


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 100])
def test_forty_expectations_at_their_bounds_rarely_fail_falsely(benchmark: ModuleType, n: int) -> None:
    found = benchmark.forty(n, 300, seed=1)
    assert found["corrected"] <= 0.03 + 2 * sqrt(0.03 * 0.97 / 300)
    assert found["uncorrected"] >= 0.5
    assert found["passed"] == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 100])
def test_forty_gaps_at_unequal_sizes_rarely_fail_falsely(benchmark: ModuleType, n: int) -> None:
    found = benchmark.forty(n, 300, seed=1, worlds=benchmark.UNEQUAL)
    assert found["corrected"] <= 0.03 + 2 * sqrt(0.03 * 0.97 / 300)
    assert found["uncorrected"] >= 0.5


def test_the_table_is_written_in_place_of_the_former_one(benchmark: ModuleType, tmp_path: Path) -> None:
    results = tmp_path / "RESULTS.md"
    results.write_text(f"# Results\n\n{benchmark.BEGIN}\nFORMER\n{benchmark.END}\n\n## Others\n")
    benchmark.write(results, benchmark.section(audits=2, seed=0))
    text = results.read_text()
    assert "FORMER" not in text and text.endswith("\n## Others\n") and text.count(benchmark.BEGIN) == 1
    benchmark.write(tmp_path / "new.md", f"{benchmark.BEGIN}\n{benchmark.END}\n")
    assert (tmp_path / "new.md").read_text().startswith("# Results")
