"""Telling tokens: those that speak most for a class, by attribution and by where they occur."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EACH, LEAST = 4, 3
"""Tokens kept a class and criterion, and texts that must hold one."""

Texts = Sequence[Sequence[str]]


def telling(
    tokens: Texts, values: Sequence[NDArray[np.floating]], predicted: NDArray[np.int64]
) -> dict[int, list[str]]:
    """For each predicted class the tokens that speak most for it, each once, best first.

    tokens: of each text; values: their signed attributions to the predicted class, text by text. Three criteria take
    turns: the mean share of a text's attribution, the same summed over texts, and the log odds of occurring in texts
    of the class (counts raised by a half). A token counts that occurs in at least three texts of the class.
    """
    held = [_by_token(text, value) for text, value in zip(tokens, values, strict=True)]
    found: dict[int, list[str]] = {}
    for index in np.unique(predicted).tolist():
        inside = predicted == index
        own = _gathered([each for each, mine in zip(held, inside, strict=True) if mine])
        others = _gathered([each for each, mine in zip(held, inside, strict=True) if not mine])
        known = {token: given for token, given in own.items() if len(given) >= LEAST}
        odds = {token: _odds(len(given), int(inside.sum())) - _odds(len(others.get(token, [])), int((~inside).sum()))
                for token, given in known.items()}  # fmt: skip
        means = {token: float(np.mean(given)) for token, given in known.items()}
        sums = {token: float(np.sum(given)) for token, given in known.items()}
        found[index] = _in_turn([_ranked(scores) for scores in (means, sums, odds)])
    return found


def _by_token(text: Sequence[str], values: NDArray[np.floating]) -> dict[str, float]:
    """The share of a text's absolute attribution that each of its tokens has, with its sign."""
    total = float(np.abs(values).sum()) or 1.0
    found: dict[str, float] = {}
    for token, value in zip(text, values.tolist(), strict=False):
        found[token] = found.get(token, 0.0) + value / total
    return found


def _gathered(held: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for each in held:
        for token, value in each.items():
            found.setdefault(token, []).append(value)
    return found


def _odds(count: int, n: int) -> float:
    return float(np.log((count + 0.5) / (n - count + 0.5)))


def _ranked(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda token: (-scores[token], token))[:EACH]


def _in_turn(lists: Sequence[list[str]]) -> list[str]:
    turns = [each[place] for place in range(EACH) for each in lists if place < len(each)]
    return list(dict.fromkeys(turns))
