"""Side by side: the maps of several methods of the same examples, one below the other."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.artifacts.explained import Explained
from auditor.artifacts.faithful_figures import plain
from auditor.artifacts.pictures import overlays_by
from auditor.blocks import AnyBlock, TokenMap, Tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

READING = "The same examples under each method; each map has its own scale. What the methods disagree on, doubt."


def side_by_side(title: str, maps: "Mapping[str, NDArray[np.floating[Any]]]", explained: Explained) -> AnyBlock | None:
    """Pictures with a row of maps for each method, or texts with a line for each; None for rows of a table."""
    if explained.pictures:
        return overlays_by(title, READING, {plain(name): values for name, values in maps.items()}, explained)
    return _texts(title, maps, explained) if explained.tokens else None


def _texts(title: str, maps: "Mapping[str, NDArray[np.floating[Any]]]", explained: Explained) -> TokenMap:
    texts = tuple(
        Tokens(label=f"{explained.caption(row)}: {plain(name)}", tokens=tokens,
               scores=tuple(values[row, : len(tokens)].astype(float).tolist()))
        for row, tokens in enumerate(explained.tokens[:3])
        for name, values in maps.items()
    )  # fmt: skip
    signed = any(bool((values < 0).any()) for values in maps.values())
    return TokenMap(title=title, reading=READING, texts=texts, signed=signed)
