"""Copies of pictures, texts and rows of numbers: found, and not seen where there are none."""

import io
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images, load_wine

from auditor.methods.data import pictures, rows, texts
from auditor.methods.data.matching import same

RNG = np.random.default_rng(0)
LINE = (
    "a the film scene actor plot story slow quick bright dark loved hated it was very really never always music sound"
)
WORDS = np.array(LINE.split(" "))


def digits() -> np.ndarray[Any, Any]:
    grey = np.rint(load_digits().images * 255 / 16).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=3)


def crops(count: int) -> list[Image.Image]:
    """Different places of two photographs."""
    rng, found = np.random.default_rng(1), []
    for at in range(count):
        side = int(rng.integers(150, 300))
        top, left = rng.integers(0, 427 - side), rng.integers(0, 640 - side)
        pixels = load_sample_images().images[at % 2][top : top + side, left : left + side]
        found.append(Image.fromarray(pixels).resize((96, 96)))
    return found


def small(images: list[Image.Image]) -> np.ndarray[Any, Any]:
    return np.stack([pictures.thumbnail(np.asarray(each.convert("RGB"))) for each in images])


def jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=60)
    return Image.open(stream)


def brighter(image: Image.Image) -> Image.Image:
    return image.point(lambda value: 0.8 * value + 30)


@pytest.mark.parametrize("changed", [jpeg, brighter, lambda image: image.resize((64, 64)), lambda image: image])
def test_a_changed_copy_of_a_photograph_is_found(changed: Any) -> None:
    images = crops(40)
    found = pictures.closest(small([changed(each) for each in images]), small(images), 0.99)
    assert (found.row == np.arange(40)).mean() >= 0.8
    assert set(found.row.tolist()) <= {-1, *range(40)}
    assert not ((found.row != np.arange(40)) & found.found).any()


def test_different_pictures_are_no_copies() -> None:
    found = small(crops(60))
    assert not pictures.closest(found[:30], found[30:], 0.99).found.any()
    each = np.stack([pictures.thumbnail(digit) for digit in digits()])
    assert not pictures.closest(each[:540], each[540:], 0.99).found.any()


def test_the_perceptual_hash_loses_no_pair_that_full_correlation_finds() -> None:
    each = np.stack([pictures.thumbnail(digit) for digit in digits()[:400]])
    noisy = np.clip(each + RNG.normal(0, 6, each.shape), 0, 255).astype(np.uint8)
    found = pictures.closest(noisy, each, 0.97)
    flat = [
        (rows - rows.mean(1, keepdims=True)) / rows.std(1, keepdims=True)
        for rows in (noisy.reshape(400, -1).astype(float), each.reshape(400, -1).astype(float))
    ]
    slow = flat[0] @ flat[1].T / flat[0].shape[1]
    assert (found.row == np.where(slow.max(1) >= 0.97, slow.argmax(1), -1)).all()
    assert found.found.mean() > 0.9
    np.testing.assert_allclose(found.similarity[found.found], slow.max(1)[found.found], atol=1e-5)


def test_flat_pictures_match_nothing() -> None:
    flat = np.full((3, 32, 32), 128, np.uint8)
    assert not pictures.closest(flat, flat, 0.99).found.any()


def sentences(count: int, length: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, length)) for _ in range(count)]


def test_a_lightly_edited_text_is_a_copy_and_another_text_is_not() -> None:
    mine = sentences(50, 40, 1)
    edited = [f"  {each.upper()}\n(edited)" for each in mine]
    found = texts.closest(texts.shingles(edited), texts.shingles([*sentences(50, 40, 2), *mine]), 0.8)
    assert found.row.tolist() == list(range(50, 100))
    assert not texts.closest(texts.shingles(mine), texts.shingles(sentences(200, 40, 3)), 0.8).found.any()


def test_many_texts_of_one_template_need_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text is a candidate of every other one; what is compared at once is bounded, and finds the same."""
    import tracemalloc

    many = texts.shingles(
        [f"Dear customer, your parcel number {row} will arrive tomorrow morning" for row in range(600)]
    )
    whole = texts.closest(many, many, 0.8, np.arange(600), np.arange(600))
    monkeypatch.setattr(texts, "AT_ONCE", 2**9)
    tracemalloc.start()
    found = texts.closest(many, many, 0.8, np.arange(600), np.arange(600))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.row == whole.row).all() and found.found.all()
    assert peak < 20_000_000


def test_the_jaccard_index_of_a_match_is_exact() -> None:
    first, second = sentences(1, 30, 4)[0], "x" + sentences(1, 30, 4)[0]
    sets = [{each[at : at + 5] for at in range(len(each) - 4)} for each in (first, second)]
    found = texts.closest(texts.shingles([first]), texts.shingles([second]), 0.5)
    assert found.similarity[0] == pytest.approx(len(sets[0] & sets[1]) / len(sets[0] | sets[1]))


def test_short_and_empty_texts_are_compared_too() -> None:
    found = texts.closest(texts.shingles(["no", "", "yes"]), texts.shingles(["NO ", "maybe"]), 0.8)
    assert found.row.tolist() == [0, -1, -1]


def test_rows_are_copies_up_to_rounding() -> None:
    table = load_wine().data
    rounded = table[:30] + 1e-4 * table.std(0)
    found = rows.closest(rounded, table, 0.001)
    assert found.row.tolist() == list(range(30))
    assert not rows.closest(table[:80], table[80:], 0.001).found.any()
    shifted = table[:30].copy()
    shifted[:, 3] += 0.01 * table[:, 3].std()
    assert not rows.closest(shifted, table, 0.001).found.any()


def test_only_rows_of_another_key_count() -> None:
    table = np.repeat(load_wine().data[:2], 30, axis=0)
    keys = np.zeros(60, dtype=np.int64)
    assert not rows.closest(table, table, 0.001, keys, keys).found.any()
    keys[29] = 1  # one of 30 equal rows has another label: it and all its copies conflict
    assert rows.closest(table, table, 0.001, keys, keys).found.tolist() == [True] * 30 + [False] * 30
    thumbs = np.repeat(np.stack([pictures.thumbnail(each) for each in digits()[:2]]), 30, axis=0)
    assert pictures.closest(thumbs, thumbs, 0.99, keys, keys).found.tolist() == [True] * 30 + [False] * 30
    words = texts.shingles([text for text in sentences(2, 20, 5) for _ in range(30)])
    assert texts.closest(words, words, 0.8, keys, keys).found.tolist() == [True] * 30 + [False] * 30
    digests = ["a"] * 30 + ["b"] * 30
    assert same(digests, digests, keys, keys).found.tolist() == [True] * 30 + [False] * 30


@pytest.mark.slow
def test_ten_thousand_rows_against_ten_thousand_take_seconds() -> None:
    rng, taken = np.random.default_rng(0), {}
    grey = rng.integers(0, 255, (20_000, 32, 32), dtype=np.uint8)
    words = texts.shingles(sentences(20_000, 80, 6))
    cut = words.start[10_000]
    halves = [
        texts.Shingles(words.flat[:cut], words.start[:10_001]),
        texts.Shingles(words.flat[cut:], words.start[10_000:] - cut),
    ]
    table = rng.normal(size=(20_000, 30))
    for name, search in {
        "pictures": lambda: pictures.closest(grey[:10_000], grey[10_000:], 0.99),
        "texts": lambda: texts.closest(*halves, 0.8),
        "rows": lambda: rows.closest(table[:10_000], table[10_000:], 0.001),
    }.items():
        start = time.process_time()
        assert not search().found.any()
        taken[name] = time.process_time() - start
    assert max(taken.values()) < 30, taken
    print(taken)
