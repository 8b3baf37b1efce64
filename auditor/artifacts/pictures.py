"""Pictures: maps beside the pictures that they explain, small enough for a report."""

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.blocks import MAX_PICTURES, Images, Picture, PictureRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auditor.artifacts.explained import Explained

    Pixels = NDArray[np.uint8]
    Maps = NDArray[np.floating[Any]]

LARGEST, SMALL, SIDE = 224, 64, 160
PHOTOGRAPHS = 4
"""Pictures of some size are shown four in a row, where their detail can be seen; small ones six."""
CAPTIONS = "Above each picture stand the predicted class and its probability."


def picture(pixels: "Pixels", caption: str) -> Picture:
    """RGB pixels as a PNG where every pixel counts (small or enlarged pictures), else as a JPEG of at most 224 px."""
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((LARGEST, LARGEST))
    few = len(pixels) <= SIDE
    stream = io.BytesIO()
    image.save(stream, "PNG") if few else image.save(stream, "JPEG", quality=85)
    data = base64.b64encode(stream.getvalue()).decode()
    media = "image/png" if few else "image/jpeg"
    return Picture(caption=caption, media=media, data=data, width=image.width, height=image.height)


def overlays(title: str, reading: str, label: str, maps: "Maps", explained: "Explained") -> Images:
    """The first pictures as the model saw them, and below each its map in colour.

    maps [n, h, w], at any resolution: fitted to the picture bilinearly, or kept as squares where it has its size.
    """
    return overlays_by(title, reading, {label: maps}, explained)


def overlays_by(title: str, reading: str, maps: "Mapping[str, Maps]", explained: "Explained") -> Images:
    """The same with several maps of each picture below it, by their labels; the more maps, the fewer pictures."""
    from auditor.methods.attribution.overlay import enlarged, overlay

    small = all(min(pixels.shape[:2]) < SMALL for pixels in explained.pictures)
    columns = min(len(explained.pictures) if small else PHOTOGRAPHS, MAX_PICTURES // (len(maps) + 1))
    large = [enlarged(each, SIDE) if min(each.shape[:2]) < SMALL else each for each in explained.pictures[:columns]]
    seen = tuple(picture(pixels, explained.caption(row)) for row, pixels in enumerate(large))
    rows = [PictureRow(label="as the model saw it", pictures=seen)]
    for label, values in maps.items():
        shown = (overlay(each, _fitted(values[row], each.shape[:2])) for row, each in enumerate(large))
        rows.append(PictureRow(label=label, pictures=tuple(picture(pixels, "") for pixels in shown)))
    return Images(title=title, reading=f"{reading} {CAPTIONS}", rows=tuple(rows))


def _fitted(values: "Maps", shape: tuple[int, ...]) -> "Maps":
    """A map in [0, 1] at the shape of the picture; whole multiples of a fine map keep its squares."""
    import numpy as np
    from PIL import Image

    from auditor.methods.attribution.overlay import scaled

    ready = scaled(values).astype(np.float32)
    same_grid = shape[0] % ready.shape[0] == 0 and shape[0] // ready.shape[0] == shape[1] // ready.shape[1]
    if same_grid and min(ready.shape) >= 8:
        factor = shape[0] // ready.shape[0]
        return ready.repeat(factor, axis=0).repeat(factor, axis=1)[: shape[0], : shape[1]]
    return np.asarray(Image.fromarray(ready).resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
