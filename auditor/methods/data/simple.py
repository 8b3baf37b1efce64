"""Simple features with names that a person knows, to say in what two samples differ."""

import numpy as np
from numpy.typing import NDArray

OF_PICTURES = ("brightness", "contrast", "red", "green", "blue", "saturation", "edges")
OF_TEXTS = ("length", "words", "letters a word", "capitals", "digits", "punctuation", "beyond ASCII")


def of_picture(pixels: NDArray[np.uint8]) -> list[float]:
    """Of uint8 [h, w, 3], in [0, 1]: mean and standard deviation of grey, means of red, green, blue as shares of their
    sum, mean spread of the three, mean absolute difference of neighbours."""
    colour = pixels.astype(np.float64) / 255
    grey = colour.mean(axis=2)
    sums = colour.mean(axis=(0, 1))
    shares = sums / sums.sum() if sums.sum() > 0 else np.full(3, 1 / 3)
    spread = float((colour.max(axis=2) - colour.min(axis=2)).mean())
    steps = [np.abs(np.diff(grey, axis=axis)) for axis in (0, 1)]
    edges = float(np.mean([each.mean() if each.size else 0.0 for each in steps]))
    return [float(grey.mean()), float(grey.std()), *shares.tolist(), spread, edges]


def of_text(text: str) -> list[float]:
    """log(1 + characters), log(1 + words), characters a word, and the shares of characters of four kinds."""
    size, words = max(1, len(text)), text.split()
    kinds = (str.isupper, str.isdigit, lambda c: not c.isalnum() and not c.isspace(), lambda c: not c.isascii())
    shares = [sum(map(kind, text)) / size for kind in kinds]
    return [float(np.log1p(len(text))), float(np.log1p(len(words))), len(text) / max(1, len(words)), *shares]
