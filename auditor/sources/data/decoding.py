"""Decoding: picture files opened with limits, in the formats that are read."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")


def opened(path: Path) -> "Image.Image":
    """The decoded picture, in 8 bits; a picture of more pixels than Pillow's limit is an error."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=FORMATS) as picture:
            if picture.mode.startswith("I"):
                return _in_eight_bits(picture)
            return picture.convert("RGB") if picture.mode not in ("L", "RGB") else picture.copy()


def _in_eight_bits(picture: "Image.Image") -> "Image.Image":
    """A grey picture of 16 bits, scaled: Pillow's own conversion cuts all above 255 off, and leaves a white page."""
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.rint(np.clip(np.asarray(picture), 0, 65535) / 257).astype(np.uint8))
