"""SHAP values: a score shared out among the parts of an input, as the shap library computes them."""

import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auditor.errors import SourceError
from auditor.methods.attribution.asked import Asked
from auditor.methods.attribution.method import Context, Maps
from auditor.methods.attribution.perturb import Forwards
from auditor.methods.attribution.removal import Removal, removal_of, usual_fill

Floats = NDArray[np.float64]
Game = Callable[[NDArray[np.bool_]], Floats]
"""The score of each set of kept parts: bool [m, players] -> [m]."""
ADDITIVE = 1e-3
"""Largest failure to add up that is no fault, in standard deviations of the scores."""
ROUNDING = 1e-5
"""What float32 may lose besides, relative to the scores themselves."""
UNSEEN = 2**-23
"""A value below this share of the scores is what float32 rounds away: it is set to zero, and has no order."""
STEP = 32
"""Sets that the partition explainer asks for at once. Fixed, so that values do not depend on the batch size."""


@dataclass(frozen=True)
class Shap:
    """Shapley values of columns, Owen values of cells and tokens; a removed part takes the first fill-in. Signed.

    Rows of up to `exact_up_to` columns: all sets of columns are evaluated (shap.ExactExplainer). More columns: random
    orders, each there and back, as many as max_evals pays for, at least one (shap.PermutationExplainer). Pictures
    (grid x grid cells) and texts: max_evals, at least one a part, over a hierarchy of neighbours that the seed draws
    (shap.PartitionExplainer). Values and f(x0) add up to f(x), or SourceError. On a linear model they are w (x - x0).
    Lundberg and Lee, "A unified approach to interpreting model predictions" (2017).
    """

    name: ClassVar[str] = "shap"
    signed: ClassVar[bool] = True
    max_evals: int = 500
    grid: int = 7
    exact_up_to: int = 10

    def maps(self, model: Asked, inputs: Any, targets: Tensor, context: Context) -> Maps:
        """Values on the grid [n, rows, columns], on tokens or on columns; facts: `additivity_error`, `enumerated`
        (1 where all sets were evaluated) and `distinct`, how many different values there are."""
        removal = removal_of(inputs, usual_fill(inputs), context, self.grid)
        forwards = Forwards(model, context.batch_size, exact=True)
        values, base = torch.zeros(removal.own.shape, dtype=torch.float64), torch.zeros(len(targets)).double()
        listed = torch.zeros(len(targets))
        for row, own in enumerate(removal.own.cpu()):
            enumerate_all = self._enumerates(removal, int(own.sum()))
            found, base[row] = self._shared(forwards, removal, targets, row, (context.seed, row))
            values[row, own], listed[row] = torch.from_numpy(found), float(enumerate_all)
        whole = _whole(forwards, removal, targets)
        size = torch.maximum(whole.abs(), base.abs())
        scale = torch.full_like(whole, context.spread) if context.spread else (whole - base).abs()
        error = failure_to_add_up(values.sum(dim=1) + base, whole, scale, size)
        values[values.abs() <= UNSEEN * size[:, None]] = 0
        facts = {"additivity_error": error, "enumerated": listed, "distinct": _distinct(values, removal.own.cpu())}
        return Maps(values.reshape(len(values), *removal.shape).float(), facts, halved=forwards.halved)

    def _enumerates(self, removal: Removal, players: int) -> bool:
        return not isinstance(removal.inputs, Mapping) and len(removal.shape) == 1 and players <= self.exact_up_to

    def _shared(
        self, forwards: Forwards, removal: Removal, targets: Tensor, row: int, seed: tuple[int, int]
    ) -> tuple[Floats, float]:
        """The values of one example's own parts, and the score with none of them."""
        game, rng = game_of(forwards, removal, targets, row), np.random.default_rng(seed)
        own = removal.own[row].cpu().numpy()
        players = int(own.sum())
        if players < 2:
            none, whole = game(np.stack([np.zeros(players, dtype=bool), np.ones(players, dtype=bool)]))
            return np.full(players, whole - none), float(none)
        if self._enumerates(removal, players):
            return exact_values(game, players)
        if not isinstance(removal.inputs, Mapping) and len(removal.shape) == 1:
            return permutation_values(game, players, self.max_evals, rng)
        columns = removal.shape[-1]
        places = np.stack(np.divmod(np.flatnonzero(own), columns), axis=1)
        return partition_values(game, hierarchy(places, rng), self.max_evals, rng)


def game_of(forwards: Forwards, removal: Removal, targets: Tensor, row: int) -> Game:
    """f(example without the parts that are not kept)[its target], as a game among the example's own parts."""
    own = removal.own[row].nonzero().flatten()

    def game(kept: NDArray[np.bool_]) -> Floats:
        removed = torch.zeros(len(kept), removal.parts, dtype=torch.bool, device=own.device)
        removed[:, own] = ~torch.from_numpy(np.ascontiguousarray(kept)).to(own.device)
        rows = torch.full((len(kept),), row, device=own.device)
        found: Floats = forwards.scores(removal, targets, rows, removed).double().cpu().numpy()
        return found

    return game


def exact_values(game: Game, players: int) -> tuple[Floats, float]:
    """Shapley values over all 2^players sets, and the score of the empty one.

    >>> values, base = exact_values(lambda kept: 1.0 + kept[:, 0] * kept[:, 1] * 4.0, 3)
    >>> values.round(9).tolist(), base
    ([2.0, 2.0, 0.0], 1.0)
    """
    explainer = _library().ExactExplainer(game, _Kept(players))
    return _explained(explainer, players, max_evals=2**players, batch_size=2**players, interactions=1)


def permutation_values(game: Game, players: int, max_evals: int, rng: np.random.Generator) -> tuple[Floats, float]:
    """Shapley values from random orders, each there and back: at most max_evals evaluations, but at least one order."""
    with _seeded(rng) as seed:
        explainer = _library().PermutationExplainer(game, _Kept(players), seed=seed)
        once = 2 * players + 1
        return _explained(explainer, players, max_evals=max(max_evals, once), batch_size=once)


def partition_values(game: Game, tree: Floats, max_evals: int, rng: np.random.Generator) -> tuple[Floats, float]:
    """Owen values over a hierarchy; groups that max_evals leaves whole share their value out evenly.

    There is at least one evaluation a player: two runs of still coarser maps would agree by their coarseness.
    """
    players = len(tree) + 1
    with _seeded(rng):
        explainer = _library().PartitionExplainer(game, _Kept(players, tree))
        return _explained(explainer, players, max_evals=max(max_evals, players), batch_size=STEP)


def hierarchy(places: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    """A binary tree over places [k, 2], as scipy's linkage [k - 1, 4]: blocks cut in two across their longer side.

    Each cut falls in the middle third of its block, at a line that the generator draws; so does the side of a square.
    """
    joined: list[tuple[int, int, int, int]] = []

    def join(members: NDArray[np.int64]) -> int:
        if len(members) == 1:
            return int(members[0])
        first = _cut(places[members], rng)
        left, right = join(members[first]), join(members[~first])
        joined.append((left, right, len(members), len(members)))
        return len(places) + len(joined) - 1

    join(np.arange(len(places)))
    return np.array(joined, dtype=np.float64)


def _cut(places: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which of the places lie before the cut: some, not all."""
    lines = [np.unique(places[:, axis]) for axis in (0, 1)]
    longer = len(lines[1]) - len(lines[0]) or rng.choice([-1, 1])
    axis = int(longer > 0)
    k = len(lines[axis])
    at = rng.integers(max(1, -(-k // 3)), max(1, 2 * k // 3), endpoint=True)
    found: NDArray[np.bool_] = places[:, axis] < lines[axis][at]
    return found


def relative_se(first: Floats, second: Floats) -> float:
    """norm(a - b) / norm(a + b): the standard error of the mean of two independent runs, relative to that mean.

    Of each part the mean's squared error is estimated by (a - b)^2 / 4; both norms are over the parts. NaN where the
    mean is zero everywhere.

    >>> relative_se(np.array([3.0, 4.0]), np.array([3.0, 4.0])), relative_se(np.array([1.0]), np.array([3.0]))
    (0.0, 0.5)
    """
    size = float(np.linalg.norm(first + second))
    return float(np.linalg.norm(first - second)) / size if size else float("nan")


def failure_to_add_up(total: Tensor, whole: Tensor, scale: Tensor, size: Tensor) -> Tensor:
    """abs(sum of values + f(x0) - f(x)) of each example, [n]. SourceError where it is not small.

    Small: at most ADDITIVE times `scale`, the standard deviation of the scores over the examples (of one alone:
    abs(f(x) - f(x0))), beyond what float32 may lose of scores of that `size`.
    """
    error = (total - whole).abs()
    over = (error > ADDITIVE * scale + ROUNDING * size).nonzero().flatten()
    if len(over):
        row = int(over[0])
        raise SourceError(
            f"SHAP values do not add up: they and the base differ from the score by {float(error[row]):.3g} where the "
            f"scores spread by {float(scale[row]):.3g} ({len(over)} of {len(error)} examples of a batch)",
            "The model gives one input different scores: look for dropout that stays on, for noise, or for rows of a "
            "batch that see each other.",
        )
    return error


def _whole(forwards: Forwards, removal: Removal, targets: Tensor) -> Tensor:
    """f(x) of each example, asked anew."""
    rows = torch.arange(len(targets), device=removal.own.device)
    return forwards.scores(removal, targets, rows, torch.zeros_like(removal.own)).double().cpu()


def _distinct(values: Tensor, own: Tensor) -> Tensor:
    """How many different values an example's parts have: few where groups share theirs out evenly."""
    return torch.tensor([len(line[kept].float().unique()) for line, kept in zip(values, own, strict=True)])


class _Kept:
    """A masker, as shap calls it, that hands the set of kept parts on to the game as it is."""

    immutable_outputs = True

    def __init__(self, players: int, clustering: Floats | None = None) -> None:
        self.shape, self.clustering = (1, players), clustering

    def __call__(self, mask: NDArray[np.bool_], *args: Any) -> tuple[NDArray[np.bool_]]:
        return (mask[None],)


def _explained(explainer: Any, players: int, **options: Any) -> tuple[Floats, float]:
    """The values of a game, and its score with no part; shap's own progress bars and labels are passed by."""
    plain = {"main_effects": False, "error_bounds": False, "outputs": None, "silent": True}
    found = explainer.explain_row(np.zeros(players), **plain, **options)
    return np.asarray(found["values"], dtype=np.float64), float(found["expected_values"])


@contextmanager
def _seeded(rng: np.random.Generator) -> Iterator[int]:
    """shap draws from numpy's global state: seeded here, and afterwards as it was."""
    kept, seed = np.random.get_state(), int(rng.integers(2**32))
    np.random.seed(seed)
    try:
        yield seed
    finally:
        np.random.set_state(kept)


def _library() -> Any:
    """shap.explainers. Its import warns of what other libraries deprecate, which is none of the user's concern.

    Its loops are short, and compiling them takes seconds in each process: they are left as plain Python.
    """
    if "shap" in sys.modules:
        return import_module("shap.explainers")
    config: Any = import_module("numba").config
    kept, config.DISABLE_JIT = config.DISABLE_JIT, 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module("shap.explainers")
    finally:
        config.DISABLE_JIT = kept
