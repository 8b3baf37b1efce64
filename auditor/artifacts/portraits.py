"""Portraits: the channels of one layer, and the examples that move its units most, as blocks of a report."""

from typing import TYPE_CHECKING, Any

from auditor.artifacts.pictures import LARGEST, SIDE, SMALL, picture
from auditor.artifacts.units import Portrait
from auditor.blocks import Images, PictureRow, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

AnyShown = Images | Table


def portrayed(portrait: Portrait | None) -> tuple[AnyShown, ...]:
    """Channel grids of the first pictures and the top pictures of a few units, or the top tokens; nothing without."""
    if portrait is None:
        return ()
    if portrait.top_words:
        return (_words(portrait),)
    return (_grids(portrait), *_tops(portrait)) if portrait.maps.size and portrait.pictures else ()


def shown(pixels: "Pixels", caption: str = "") -> Any:
    """A picture as a block shows it, small ones enlarged square by square."""
    from auditor.methods.attribution.overlay import enlarged

    return picture(enlarged(pixels, SIDE) if min(pixels.shape[:2]) < SMALL else pixels, caption)


def tiled(maps: "NDArray[np.float32]") -> "Pixels":
    """Channels [c, h, w] as one picture of squares, each scaled from its own smallest to its own largest value."""
    import numpy as np

    from auditor.methods.attribution.overlay import colours

    channels, height, width = maps.shape
    across = int(np.ceil(np.sqrt(channels)))
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    ready = (maps - low) / np.where(high > low, high - low, 1)
    scale = max(1, LARGEST // (across * (max(height, width) + 1)))
    tall, wide = height * scale + 1, width * scale + 1
    canvas = np.full((-(-channels // across) * tall - 1, across * wide - 1, 3), 128, dtype=np.uint8)
    for at in range(channels):
        top, left = at // across * tall, at % across * wide
        square = np.repeat(np.repeat(colours(ready[at]), scale, axis=0), scale, axis=1)
        canvas[top : top + height * scale, left : left + width * scale] = square
    return canvas


def _grids(portrait: Portrait) -> Images:
    pictures = tuple(shown(pixels) for pixels in portrait.pictures)
    grids = tuple(picture(tiled(maps), "") for maps in portrait.maps)
    count = portrait.maps.shape[1]
    return Images(
        title=f"What the channels of {portrait.layer} see",
        reading=f"Each square below a picture is one of the first {count} channels: bright where it is most active, on "
        "its own scale. A square of one colour is a channel that does not react to this picture.",
        rows=(PictureRow(label="as the model saw it", pictures=pictures), PictureRow(label="channels", pictures=grids)),
    )


def _tops(portrait: Portrait) -> tuple[Images, ...]:
    if not portrait.units:
        return ()
    rows = tuple(
        PictureRow(label=f"unit {unit}", pictures=tuple(shown(pixels) for pixels in mine))
        for unit, mine in zip(portrait.units, portrait.top_pictures, strict=True)
    )
    reading = "Each row shows the pictures in which one unit of the layer is most active, the strongest first."
    return (Images(title=f"Top examples of units of {portrait.layer}", reading=reading, rows=rows),)


def _words(portrait: Portrait) -> Table:
    lines = [
        (f"unit {unit}", token, text)
        for unit, mine in zip(portrait.units, portrait.top_words, strict=True)
        for token, text in mine
    ]
    return Table(
        title=f"Where units of {portrait.layer} are most active",
        reading="Each line is a token at which a unit is most active, and the text that it stands in, strongest first.",
        columns=("unit", "token", "text"),
        rows=tuple(lines),
    )
