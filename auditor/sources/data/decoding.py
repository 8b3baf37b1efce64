"""Decoding: picture files opened with limits, in the formats that are read."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")


def opened(path: Path) -> "Image.Image":
    """The decoded picture, in 8 bits; a file that ends early, or of more pixels than Pillow's limit, is an error."""
    from PIL import Image

    with warnings.catch_warnings(), _whole_files_only():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=FORMATS) as picture:
            if picture.mode.startswith("I"):
                return _in_eight_bits(picture)
            return picture.convert("RGB") if picture.mode not in ("L", "RGB") else picture.copy()


@contextmanager
def _whole_files_only() -> Iterator[None]:
    """Pillow's own rule that half a file is an error; libraries (WeasyPrint) lift it for the whole process."""
    from PIL import ImageFile

    kept = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = kept


def _in_eight_bits(picture: "Image.Image") -> "Image.Image":
    """A grey picture of 16 bits, scaled: Pillow's own conversion cuts all above 255 off, and leaves a white page."""
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.rint(np.clip(np.asarray(picture), 0, 65535) / 257).astype(np.uint8))
