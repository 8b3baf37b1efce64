"""Local linear surrogates: a weighted ridge over which parts are kept, and the tangent at the input."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auditor.methods.attribution.asked import Asked, gradient, moved, scores
from auditor.methods.attribution.method import Context
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import Removal
from auditor.methods.attribution.steps import Steps

Floats = NDArray[np.float64]
WIDTH = 0.25
"""Width of the exponential kernel over cosine distance, as LIME's code has it."""
GOOD = 0.9
"""The weighted R2 from which a tangent is called a good approximation."""


@dataclass(frozen=True)
class Coalitions:
    """Sets of kept parts and what the model gave them: kept bool [m, parts], values [m] and weights [m] of one example.

    A weight is exp(-d^2 / width^2), d = 1 - sqrt(share kept) the cosine distance to keeping all. Ribeiro et al., "Why
    should I trust you?" (2016).
    """

    kept: NDArray[np.bool_]
    values: Floats

    @property
    def weights(self) -> Floats:
        """How much each set counts."""
        kept = self.kept.sum(axis=1) / max(1, self.kept.shape[1])  # a text may have no part that can be removed
        distance = 1 - np.sqrt(kept)
        found: Floats = np.exp(-(distance**2) / WIDTH**2)
        return found


def draw_coalitions(own: Tensor, draws: int, generator: torch.Generator) -> Tensor:
    """Kept parts, bool [n, draws, parts]: each own part is kept with probability one half; others count as kept."""
    drawn = torch.rand(len(own), draws, own.shape[1], generator=generator) < 0.5
    return drawn.to(own.device) | ~own[:, None]


def asked_coalitions(
    forwards: Forwards, removal: Removal, targets: Tensor, draws: int, generator: torch.Generator
) -> tuple[Coalitions, ...]:
    """Coalitions of each example with the target's score of each, all examples in the same batches."""
    kept = draw_coalitions(removal.own, draws, generator)
    rows = torch.arange(len(kept), device=kept.device).repeat_interleave(draws)
    values = forwards.scores(removal, targets, rows, ~kept.flatten(0, 1)).reshape(len(kept), draws)
    own = removal.own.cpu().numpy()
    return tuple(
        Coalitions(kept[row][:, removal.own[row]].cpu().numpy(), values[row].double().cpu().numpy())
        for row in range(len(own))
    )


def ridge(seen: Coalitions, penalty: float) -> tuple[Floats, float]:
    """Coefficients [parts] and intercept of the weighted ridge: argmin sum w (y - b - z a)^2 + penalty norm(a)^2.

    The intercept is not penalized: values and sets are centred by their weighted means first.

    >>> kept = np.array([[True, True], [True, False], [False, True], [False, False]])
    >>> coefficients, intercept = ridge(Coalitions(kept, kept @ np.array([3.0, -1.0]) + 2), 0.0)
    >>> coefficients.round(9).tolist(), round(intercept, 9)
    ([3.0, -1.0], 2.0)
    """
    weights = seen.weights / seen.weights.sum()
    z = seen.kept.astype(np.float64)
    middle, level = weights @ z, float(weights @ seen.values)
    root = np.sqrt(seen.weights)[:, None]
    a, b = (z - middle) * root, (seen.values - level) * root[:, 0]
    found: Floats = np.linalg.lstsq(
        np.vstack([a, np.sqrt(penalty) * np.eye(z.shape[1])]), np.concatenate([b, np.zeros(z.shape[1])]), rcond=None
    )[0]
    return found, level - float(middle @ found)


def weighted_r2(values: Floats, guessed: Floats, weights: Floats) -> float:
    """1 - sum w (y - g)^2 / sum w (y - mean)^2; negative where the mean would guess better; NaN if y does not vary."""
    spread = weights @ (values - weights @ values / weights.sum()) ** 2
    return float(1 - weights @ (values - guessed) ** 2 / spread) if spread > 0 else float("nan")


def fidelity(fitted: tuple[Floats, float], fresh: Coalitions) -> float:
    """The weighted R2 of a ridge on coalitions that it has not seen."""
    return weighted_r2(fresh.values, fresh.kept @ fitted[0] + fitted[1], fresh.weights)


def tangent_r2(
    model: Asked, inputs: Any, targets: Tensor, radii: tuple[float, ...], draws: int, context: Context
) -> Floats:
    """R2 of g(x) = f(x0) + grad f(x0) . (x - x0) on normal steps of each size, float64 [n, radii].

    A step is a normal draw times the radius times the standard deviation of the example (steps.own_spread); text is
    moved at its token embeddings. NaN where the score does not vary at all.
    """
    base, leaf, slope = gradient(model, inputs, targets)
    found = np.empty((len(base), len(radii)))
    steps = Steps(leaf, inputs, context)
    for place, radius in enumerate(radii):
        true, guessed = [], []
        for _ in range(draws):
            step = steps.normal() * radius * steps.spread
            true.append(scores(model, moved(model, inputs, step.add), targets))
            guessed.append(base + (slope * step).flatten(1).sum(dim=1))
        y, g = torch.stack(true, dim=1).double().cpu().numpy(), torch.stack(guessed, dim=1).double().cpu().numpy()
        found[:, place] = [weighted_r2(a, b, np.ones(draws)) for a, b in zip(y, g, strict=True)]
    return found


def largest_radius(r2: Floats, radii: tuple[float, ...]) -> Floats:
    """The largest radius up to which every R2 is at least GOOD, of each example: [n]; 0 if the first is below.

    >>> largest_radius(np.array([[0.99, 0.95, 0.5], [0.8, 0.95, 0.9]]), (0.1, 0.2, 0.4)).tolist()
    [0.2, 0.0]
    """
    held = (r2 >= GOOD).cumprod(axis=1).sum(axis=1)
    found: Floats = np.array([0.0, *radii])[held]
    return found
