"""Insertions: a token that speaks for one class, put in front of texts that are taken for others."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.strategies import TRIED, Strategies, Tried
from auditor.errors import NotApplicable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CANDIDATES, EACH = 60, 12


def search_tokens(maps: Attributions, model: Any, loader: Any, halves: Any, seed: int) -> Strategies:
    """The token whose insertion turns most texts to its class on the first half, tested on the second."""
    import numpy as np

    from auditor.methods.strategies.clustering import spectral
    from auditor.methods.strategies.tokens import telling

    predicted, (first, second) = maps.explained.predicted, halves
    if len(np.unique(predicted[first])) < 2 or len(np.unique(predicted[second])) < 2:
        raise NotApplicable("all texts are taken for one class, so there is none that a token could turn")
    texts = loader.shown(range(len(predicted)))
    tokens = [loader.encoder.tokens(text) for text in texts]
    values = [line[: len(each)] for line, each in zip(maps.maps, tokens, strict=True)]
    plain = _Plain(loader.encoder.tokenizer)
    by_class = telling([tokens[row] for row in first], [values[row] for row in first], predicted[first])
    kept = {index: [token for token in given if plain.word(token)] for index, given in by_class.items()}
    says = _predictions(model, loader)
    pairs = [(index, token) for index, given in kept.items() for token in given][:CANDIDATES]
    if not pairs:
        raise NotApplicable("no token occurs in three texts of a class, so none can be suspected")
    rounds = [_turned(says, texts, first[:TRIED], predicted, index, [plain.word(token)]) for index, token in pairs]
    rates = np.array([each.mean() if len(each) else 0.0 for each in rounds])
    index, token = pairs[int(rates.argmax())]
    rows = second[predicted[second] != index]
    others = plain.others(tokens, set(kept[index]), np.random.default_rng(seed), len(rows))
    return Strategies(
        kind="token", clusters=(groups := spectral(_bags(tokens, values, first), seed)).labels, count=groups.count,
        chosen=plain.word(token), target=index, rows=rows, donors=np.full(len(rows), -1, dtype=np.int64),
        follow=_turned(says, texts, second, predicted, index, [plain.word(token)]),
        null=_turned(says, texts, second, predicted, index, others),
        position=_at_usual_place(values, rows), mean_map=np.zeros((0, 0), np.float32),
        region=np.zeros((0, 0), dtype=bool),
        tried=tuple(
            Tried(f"{plain.word(pairs[at][1])} for {maps.explained.name(pairs[at][0])}", int(rounds[at].sum()),
                  len(rounds[at]))
            for at in np.argsort(-rates, kind="stable").tolist()
        ),
        tokens=tuple((maps.explained.name(each), tuple(map(plain.word, given))) for each, given in kept.items()),
        explained=maps.explained,
    )  # fmt: skip


class _Plain:
    """Tokens as words that can be put into a text."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._special = set(tokenizer.all_special_tokens)

    def word(self, token: str) -> str:
        """The token as text; "" for a special one, the middle of a word, or nothing that can be seen."""
        if token in self._special or token.startswith("##"):
            return ""
        return str(self._tokenizer.convert_tokens_to_string([token])).strip()

    def others(self, tokens: Sequence[Sequence[str]], known: set[str], rng: Any, n: int) -> list[str]:
        """n words drawn from those of the texts that are not suspected."""
        each = sorted({token for text in tokens for token in text} - known)
        words = [word for token in each if (word := self.word(token))] or [""]
        return [words[place] for place in rng.integers(len(words), size=n).tolist()]


def _predictions(model: Any, loader: Any) -> Callable[[list[str]], "NDArray[np.int64]"]:
    import numpy as np
    import torch

    from auditor.methods.strategies.transplant import winners

    def says(texts: list[str]) -> "NDArray[np.int64]":
        found = []
        with torch.inference_mode():
            for start in range(0, len(texts), loader.batch_size):
                inputs = loader.encoder.encode(texts[start : start + loader.batch_size])
                ready = {name: tensor.to(loader.device) for name, tensor in inputs.items()}
                found.append(winners(model.logits(ready)))
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)

    return says


def _turned(says: Any, texts: Any, rows: Any, predicted: Any, index: int, words: list[str]) -> "NDArray[np.bool_]":
    """Whether each text of `rows` that is taken for another class becomes one of class `index` behind the word.

    words: one for all of these texts, or one each.
    """
    import numpy as np

    turned = rows[predicted[rows] != index].tolist()
    each = words * len(turned) if len(words) == 1 else words
    return np.asarray(says([f"{word} {texts[row]}" for word, row in zip(each, turned, strict=True)]) == index)


def _bags(tokens: Any, values: Any, rows: Any) -> "NDArray[np.float64]":
    """Attribution by token, [n, vocabulary]: what the texts are grouped by."""
    import numpy as np

    known = {token: at for at, token in enumerate(sorted({token for row in rows for token in tokens[row]}))}
    found = np.zeros((len(rows), len(known)))
    for place, row in enumerate(rows.tolist()):
        for token, value in zip(tokens[row], values[row].tolist(), strict=False):
            found[place, known[token]] += value
    return found


def _at_usual_place(values: Any, rows: Any) -> "NDArray[np.float64]":
    """1 for each text whose strongest token stands at the place where most texts have theirs."""
    import numpy as np

    strongest = np.array([int(np.abs(values[row]).argmax()) for row in rows.tolist()])
    found: NDArray[np.float64] = (strongest == np.bincount(strongest).argmax()).astype(np.float64)
    return found
