"""Attended: the figures of attention: heads by layer, maps over tokens or pictures, the heads that were silenced."""

from typing import TYPE_CHECKING, Any

from auditor.artifacts.attention import MAPS, Attended
from auditor.artifacts.pictures import overlays
from auditor.blocks import MAX_FLOATS, MAX_ROWS, AnyBlock, Heatmap, Table, Text, TokenMap, Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

READING = {
    "rollout": "How much of each place flows to where the model reads, whatever the explained class.",
    "gradient attention": "What flows there and raises the explained class.",
}


def heads_by_layer(found: Attended) -> tuple[Heatmap, Heatmap]:
    """Query dependence and first-order effect of each head."""
    dependence = _by_layer(
        found, found.query_dependence[found.usable], title="Query dependence", value_label="query dependence",
        reading="Near 0 a head attends alike whatever is asked. A whole row near 0 is a collapsed layer; single heads "
        "near 0 are common in healthy models.",
    )  # fmt: skip
    effects = _by_layer(
        found, found.first_order, title="What each head adds to the score", value_label="fall of the score",
        reading="The score that would be lost without the head, to first order; negative heads speak against it.",
        diverging=True,
    )  # fmt: skip
    return dependence, effects


def _by_layer(found: Attended, values: "NDArray[Any]", **more: Any) -> Heatmap:
    """The mean of each head; layers of fewer heads have empty cells. Past 4,096 heads the first layers are shown."""
    widest = max(found.heads)
    rows = range(min(len(found.heads), MAX_FLOATS // widest))
    each = [found.layer(values, at).mean(axis=0).tolist() if len(values) else [] for at in rows]
    return Heatmap(
        x_label="head", y_label="layer",
        rows=tuple(str(at + 1) for at in rows), columns=tuple(str(head + 1) for head in range(widest)),
        values=tuple(tuple(line + [None] * (widest - len(line))) for line in each), **more,
    )  # fmt: skip


def shown(found: Attended) -> tuple[AnyBlock, ...]:
    """Both maps of the first examples."""
    return tuple(_map(found, at, name) for at, name in enumerate(MAPS))


def _map(found: Attended, at: int, name: str) -> AnyBlock:
    explained, title = found.explained, f"What {name} shows"
    if explained.pictures:
        return overlays(title, f"{READING[name]} Each map has its own scale.", name, found.maps[at], explained)
    texts = tuple(
        Tokens(label=explained.caption(row), tokens=tokens,
               scores=tuple(found.maps[at, row, : found.lengths[row]].tolist()))
        for row, tokens in enumerate(explained.tokens)
    )  # fmt: skip
    reading = f"{READING[name]} Special tokens, which gather what heads do not need, are left white."
    return TokenMap(title=title, reading=reading, texts=texts)


def silenced(found: Attended) -> Table:
    """The heads that were silenced, by what that did on the half on which they were chosen."""
    halves = (found.first_order[:, list(found.silenced)], found.first), (found.effect, found.first)
    columns = [_means(values, half) for values, half in (*halves, (found.effect, ~found.first))]
    order = sorted(range(len(found.silenced)), key=lambda at: -(columns[1][at] or 0))[:MAX_ROWS]
    return Table(
        title="Heads silenced", columns=("head", "expected, half A", "fall, half A", "fall, half B"),
        reading="How far the explained score falls, on average, when what a head hands on is set to zero; expected: to "
        "first order, from the gradient. Heads were chosen on half A; what half B shows was not chosen.",
        rows=tuple((found.head(found.silenced[at]), *(column[at] for column in columns)) for at in order),
    )  # fmt: skip


def _means(values: "NDArray[Any]", half: "NDArray[Any]") -> list[float | None]:
    """The mean of each column over half of the examples; None where one example alone left that half empty."""
    kept = values[half]
    return [float(value) for value in kept.mean(axis=0)] if len(kept) else [None] * values.shape[1]


def order_of_layers(found: Attended) -> Text:
    """Which module each layer is, and over which keys queries were compared."""
    count = len(found.modules)
    ends = f"layer 1 is {found.modules[0]}" + (f", layer {count} is {found.modules[-1]}" if count > 1 else "")
    keys = "over the keys that all of the later half see (the model is causal)" if found.causal else "over all tokens"
    return Text(title="Layers", text=f"In the order in which they run: {ends}. Queries are compared {keys}.")
