"""interpretability.saliency and grad_cam: planted empty maps, concentration, what is shown, where they apply."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explained import Explained
from auditor.blocks import Bars, Images, TokenMap
from auditor.check import Check
from auditor.checks.interpretability.grad_cam import GradCam
from auditor.checks.interpretability.saliency import Saliency
from auditor.evidence import Counts, Evidence
from auditor.subject import DataRef, ModelRef, Subject

N = 40


def explained(side: int = 0, **more: Any) -> Explained:
    rng = np.random.default_rng(0)
    pictures = tuple(rng.integers(0, 255, (side, side, 3), dtype=np.uint8) for _ in range(6)) if side else ()
    index = np.arange(N) % 2
    sure = np.full(N, 0.75, dtype=np.float32)
    names = tuple(f"x{k}" for k in range(N))
    return Explained(index, index, index, sure, names, classes=("cat", "dog"), pictures=pictures, **more)


def maps_of(values: np.ndarray, **more: Any) -> Attributions:
    size = np.full(N, values[0].size)
    return Attributions(values.astype(np.float32), size, explained(**more))


def cam_of(values: np.ndarray) -> Attributions:
    return Attributions(values, np.full(N, values[0].size), explained(side=8), "layer4")


def value(found: Evidence, name: str) -> float:
    return next(measurement.value for measurement in found.measurements if measurement.name == name)


def noise(side: int = 8) -> np.ndarray:
    return np.random.default_rng(1).random((N, side, side)) + 0.01


def test_healthy_maps_are_not_empty() -> None:
    for found in (
        Saliency().measure(maps=maps_of(noise(), side=8)),
        GradCam().measure(maps=cam_of(noise(4).astype(np.float32))),
    ):
        assert found.measurements[0].distribution == Counts(k=0, n=N)


def test_planted_empty_maps_are_counted_and_leave_the_concentration() -> None:
    values = noise()
    values[:10] = 0
    found = Saliency().measure(maps=maps_of(values, side=8))
    assert found.measurements[0].distribution == Counts(k=10, n=N)
    assert next(m for m in found.measurements if m.name == "concentration").n == N - 10


@pytest.mark.parametrize("cls", [Saliency, GradCam])
def test_a_model_without_gradient_has_only_empty_maps(cls: type[Check]) -> None:
    zero = np.zeros((N, 4, 4), np.float32)
    maps = maps_of(zero, side=8) if cls is Saliency else cam_of(zero)
    found = cls().measure(maps=maps)
    assert value(found, "all_zero_share") == 1.0
    assert [m.name for m in found.measurements] == ["all_zero_share"]
    assert isinstance(found.blocks[0], Images)


def test_concentration_runs_from_even_to_one_place() -> None:
    one = np.zeros((N, 8, 8))
    one[:, 3, 3] = 1
    even = Saliency().measure(maps=maps_of(np.ones((N, 8, 8))))
    single = Saliency().measure(maps=maps_of(one))
    assert value(even, "concentration") == pytest.approx(0, abs=1e-9)
    assert value(single, "concentration") == pytest.approx(1 - 1 / 64)


def test_padding_is_no_part_of_a_texts_map() -> None:
    values = np.zeros((N, 6))
    values[:, :3] = 1.0
    maps = Attributions(values.astype(np.float32), np.full(N, 3), explained(tokens=(("[CLS]", "good", "[SEP]"),)))
    found = Saliency().measure(maps=maps)
    assert value(found, "concentration") == pytest.approx(0, abs=1e-9)
    shown = found.blocks[0]
    assert isinstance(shown, TokenMap) and shown.texts[0].scores == (1.0, 1.0, 1.0)
    assert shown.texts[0].label == "cat 0.75"


def test_columns_are_shown_as_bars_the_strongest_first() -> None:
    values = np.tile([1.0, 3.0, 2.0], (N, 1))
    shown = Saliency().measure(maps=maps_of(values)).blocks[0]
    assert isinstance(shown, Bars) and [bar.label for bar in shown.bars] == ["column 2", "column 3", "column 1"]
    assert shown.bars[0].low == shown.bars[0].value == 3.0


def test_groups_are_the_unit_where_there_are_some() -> None:
    values = noise()
    values[:5] = 0
    maps = maps_of(values, groups=tuple(f"g{k // 2}" for k in range(N)))
    share = Saliency().measure(maps=maps).measurements[0]
    assert (share.n, share.method, share.unit_of_resampling) == (N // 2, "t", "group")


def decoded(picture: Any) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.data))).convert("RGB"))


@pytest.mark.parametrize(("side", "media", "width"), [(8, "image/png", 160), (32, "image/png", 160),
                                                      (150, "image/png", 150), (300, "image/jpeg", 224)])  # fmt: skip
def test_pictures_keep_within_their_bounds(side: int, media: str, width: int) -> None:
    block = Saliency().measure(maps=maps_of(noise(side), side=side)).blocks[0]
    assert isinstance(block, Images)
    for picture in block.rows[0].pictures + block.rows[1].pictures:
        assert (picture.media, picture.width) == (media, width)
        assert decoded(picture).shape == (picture.height, picture.width, 3)


def test_small_pictures_are_enlarged_square_by_square() -> None:
    maps = maps_of(noise(), side=8)
    block = Saliency().measure(maps=maps).blocks[0]
    assert isinstance(block, Images)
    np.testing.assert_array_equal(decoded(block.rows[0].pictures[0])[::20, ::20], maps.explained.pictures[0])


def test_the_overlay_is_bright_where_the_map_is() -> None:
    values = np.zeros((N, 2, 2))
    values[:, 1, 1] = 1
    maps = cam_of(values.astype(np.float32))
    block = GradCam().measure(maps=maps).blocks[0]
    assert isinstance(block, Images)
    shown = decoded(block.rows[1].pictures[0]).astype(int).sum(axis=2)
    assert shown[120:, 120:].mean() > shown[:40, :40].mean() + 50


def subject(modality: Any = "image", task: Any = "classification", data: bool = True) -> Subject:
    model = ModelRef(digest="m", name="m", source="factory", entry={}, architecture="net", modality=modality, task=task)
    rows = DataRef(digest="d", name="d", source="tensors", entry={}, modality=modality, rows=9, used=9)
    return Subject(model=model, data=rows if data else None)


@pytest.mark.parametrize(("cls", "modality", "applies"), [
    (Saliency, "image", True), (Saliency, "text", True), (Saliency, "tabular", True),
    (GradCam, "image", True), (GradCam, "text", False), (GradCam, "tabular", False),
])  # fmt: skip
def test_where_they_apply(cls: type[Check], modality: str, applies: bool) -> None:
    assert (cls().applies(subject(modality)) is None) == applies
    assert cls().applies(subject(modality, data=False)) is not None
    assert "encoder" in str(cls().applies(subject("image", task="encoder")))


def test_equal_questions_are_one_need_and_other_layers_another() -> None:
    one, same, other = (GradCam(layer=layer).needs(subject())["maps"] for layer in ("auto", "auto", "layer3"))
    assert one.key == same.key != other.key
    assert one.sweep == other.sweep == Saliency().needs(subject())["maps"].sweep  # type: ignore[attr-defined]
    assert one.cost().backwards == 1
