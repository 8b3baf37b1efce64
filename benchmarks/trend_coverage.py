"""Coverage of the trend of a single run: how often moving blocks hold the slope of a series that remembers.

python benchmarks/trend_coverage.py [--series 300] [--seed 0]
"""

import argparse
import time

import numpy as np

from auditor.judge.minimum import BOOTSTRAP
from auditor.methods.training.gradients import residuals, slope
from auditor.statistics import dependence, moving_blocks, quantile_interval


def series(memory: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """A level series in which each value keeps a share `memory` of the one before, from its stationary law."""
    values = rng.standard_normal(n)
    values[0] /= np.sqrt(1 - memory**2)
    for place in range(1, n):
        values[place] += memory * values[place - 1]
    return values


def held(values: np.ndarray, seed: int) -> tuple[bool, bool]:
    """Whether the 95% interval holds the true slope, 0, and whether the series is worth enough to decide."""
    steps = np.arange(len(values), dtype=np.float64)
    block, worth = dependence(residuals(steps, values))
    drawn = moving_blocks(lambda rows: slope(steps[rows], values[rows]), len(values), seed, block=block)
    low, high = quantile_interval(drawn, 0.95)
    return low <= 0 <= high, worth >= BOOTSTRAP


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.process_time()
    print("| steps | memory | interval holds the truth | series that may decide | of all: may decide and is wrong |")
    print("|---|---|---|---|---|")
    for n in (100, 200, 500):
        for memory in (0.0, 0.5, 0.8):
            rng = np.random.default_rng([options.seed, n, int(10 * memory)])
            found = [held(series(memory, n, rng), seed) for seed in range(options.series)]
            wrong = np.mean([decides and not good for good, decides in found])
            cover, decide = np.mean(found, axis=0)
            print(f"| {n} | {memory:.1f} | {cover:.1%} | {decide:.0%} | {wrong:.1%} |", flush=True)
    print(f"\n{time.process_time() - started:.0f} s of CPU")


if __name__ == "__main__":
    main()
