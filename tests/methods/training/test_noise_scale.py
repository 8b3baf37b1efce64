"""The two-batch estimator of the gradient noise scale, on a real network, against per-example gradients."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from histories import run
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from auditor.methods.training.gradients import noise_scale
from auditor.methods.training.look import Looks
from auditor.methods.training.objective import CLASSIFICATION
from auditor.methods.training.room import Room

DRAWS, HALF, ROWS = 500, 12, 120


@dataclass(frozen=True)
class Table:
    inputs: Tensor
    labels: Tensor

    @property
    def rows(self) -> int:
        return len(self.labels)

    def batch(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        return self.inputs[list(rows)], self.labels[list(rows)]


def drawn() -> tuple[nn.Module, Table]:
    """A small network with a hidden layer, and rows that it half fits."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(ROWS, 5, generator=generator)
    labels = (inputs[:, 0] + 0.5 * torch.randn(ROWS, generator=generator) > 0).long()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    return module.eval(), Table(inputs.double(), labels)


def per_example(module: nn.Module, table: Table) -> np.ndarray:
    """[n, parameters]: a slow loop over single examples."""
    rows = []
    for row in range(table.rows):
        loss = cross_entropy(module(table.inputs[row : row + 1]), table.labels[row : row + 1])
        rows.append(torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(module.parameters()))]))
    return torch.stack(rows).numpy()


def test_both_estimates_are_unbiased_over_500_draws_within_three_standard_errors() -> None:
    """Direct: tr(S) = sum |g_i - G|^2 / (n - 1), and |G|^2 of the population of which the n rows are a sample, without
    bias: |mean g|^2 - tr(S) / n, which is the mean of g_i . g_j over all pairs of different rows."""
    module, table = drawn()
    looks = Looks(module, module, table, table, CLASSIFICATION, ROWS, 32, HALF, torch.Generator().manual_seed(2), 0,
                  Room(2 * HALF))  # fmt: skip
    pairs = np.array([looks._halves() for _ in range(DRAWS)])
    each = per_example(module, table)
    trace = float(((each - each.mean(0)) ** 2).sum() / (ROWS - 1))
    squared = float((each.mean(0) ** 2).sum()) - trace / ROWS
    products = each @ each.T
    assert np.isclose(squared, (products.sum() - np.trace(products)) / (ROWS * (ROWS - 1)))
    found = pairs * (1.0, HALF / 2)
    error = found.std(axis=0, ddof=1) / np.sqrt(DRAWS)
    assert (np.abs(found.mean(axis=0) - (squared, trace)) < 3 * error).all()
    assert (3 * error < 0.25 * np.array((squared, trace))).all(), "else the test would see nothing"
    whole = noise_scale(replace(run(), agreement=pairs[:, 0], disagreement=pairs[:, 1], noise_rows=HALF))
    assert np.allclose((whole.signal, whole.noise), found.mean(axis=0))
    assert whole.value is not None and abs(whole.value - trace / squared) < 0.25 * trace / squared


def test_reading_the_same_batch_twice_would_be_seen() -> None:
    """The planted fault: |g|^2 of one batch is too large by tr(S) / m."""
    module, table = drawn()
    each, generator = per_example(module, table), np.random.default_rng(3)
    naive = [float((each[generator.permutation(ROWS)[:HALF]].mean(0) ** 2).sum()) for _ in range(DRAWS)]
    trace = float(((each - each.mean(0)) ** 2).sum() / (ROWS - 1))
    squared = float((each.mean(0) ** 2).sum()) - trace / ROWS
    assert np.mean(naive) - squared > 3 * np.std(naive) / np.sqrt(DRAWS)
