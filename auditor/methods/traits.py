"""Traits: what a picture or a text is like, in few plain numbers that say nothing of its label."""

import re
from collections import Counter
from collections.abc import Sequence
from string import punctuation
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

OF_PICTURES = ("brightness", "contrast", "saturation", "warmth", "sharpness", "entropy", "centre brightness")
OF_TEXTS = ("words", "letters a word", "rare-word share", "repeated-word share", "digit share",
            "punctuation share", "uppercase share")  # fmt: skip

LEVELS, RARE = 32, 3
_WORD = re.compile(r"\w+")


def of_picture(pixels: NDArray[Any]) -> list[float]:
    """OF_PICTURES of uint8 pixels [height, width, 3], on a scale of 0 to 1 (entropy: bits of 32 grey levels).

    Grey is the mean of the channels. contrast: its standard deviation; saturation: mean of (largest - smallest) /
    largest channel; warmth: mean red - mean blue; sharpness: mean absolute difference of neighbours; centre
    brightness: mean of the inner half of each side minus the mean of the picture.
    """
    colour = pixels.astype(np.float64) / 255
    grey, top = colour.mean(axis=2), colour.max(axis=2)
    saturation = (top - colour.min(axis=2)) / np.where(top > 0, top, 1)
    steps = [np.abs(np.diff(grey, axis=axis)).mean() if grey.shape[axis] > 1 else 0.0 for axis in (0, 1)]
    share = np.bincount(np.minimum((grey * LEVELS).astype(int), LEVELS - 1).ravel(), minlength=LEVELS) / grey.size
    height, width = grey.shape
    inner = grey[height // 4 : height - height // 4, width // 4 : width - width // 4]
    return [
        float(grey.mean()), float(grey.std()), float(saturation.mean()),
        float(colour[..., 0].mean() - colour[..., 2].mean()), float(np.mean(steps)),
        float(-(share[share > 0] * np.log2(share[share > 0])).sum()), float(inner.mean() - grey.mean()),
    ]  # fmt: skip


def of_texts(texts: Sequence[str]) -> list[list[float]]:
    """OF_TEXTS of each text. A word is rare if fewer than three of these texts hold it; an empty text has zeros."""
    words = [_WORD.findall(text.lower()) for text in texts]
    spread = Counter(word for each in words for word in set(each))
    return [_of_text(text, each, spread) for text, each in zip(texts, words, strict=True)]


def _of_text(text: str, words: list[str], spread: Counter[str]) -> list[float]:
    size, count = max(1, len(text)), max(1, len(words))
    shares = (sum(map(kind, text)) / size for kind in (str.isdigit, punctuation.__contains__, str.isupper))
    return [
        float(len(words)), sum(map(len, words)) / count, sum(spread[word] < RARE for word in words) / count,
        (len(words) - len(set(words))) / count, *shares,
    ]  # fmt: skip
