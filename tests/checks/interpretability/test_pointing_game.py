"""The pointing game of interpretability.grad_cam: real boxes and masks, planted misses, several layers."""

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from making import digits, evidence, make
from PIL import Image

from auditor.artifacts import regions as artifact
from auditor.artifacts.attributions import Attributions
from auditor.artifacts.explained import Explained
from auditor.artifacts.regions import Regions, regions_of
from auditor.artifacts.roots import sweep_of
from auditor.blocks import Images, Text
from auditor.checks.interpretability.grad_cam import GradCam
from auditor.errors import SourceError
from auditor.evidence import Counts, Evidence
from auditor.methods.attribution import pointing
from auditor.methods.attribution.pointing import hits
from auditor.sources import data, labels
from auditor.spec.model import DataEntry
from auditor.subject import Subject

N = 40


def of(found: Evidence, name: str, layer: str = "") -> Any:
    return next(each for each in found.measurements if (each.name, each.of) == (name, layer))


def maps_at(rows: Any, columns: Any, **more: Any) -> Attributions:
    """4 x 4 maps, each with one bright place; 8 x 8 pictures."""
    values = np.full((N, 4, 4), 0.1, np.float32)
    values[np.arange(N), rows, columns] = 1
    zero, names = np.zeros(N, dtype=np.int64), tuple(f"x{row}" for row in range(N))
    seen = tuple(np.zeros((8, 8, 3), np.uint8) for _ in range(2))
    explained = Explained(zero, zero, zero, np.ones(N, np.float32), names, classes=("a",), pictures=seen, **more)
    return Attributions(values, np.full(N, 16), explained, "layer4")


def corner() -> np.ndarray:
    inside = np.zeros((N, 8, 8), np.uint8)
    inside[:, :2, 6:] = 1
    return inside


def test_the_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(pointing).failed == doctest.testmod(artifact).failed == 0


def test_maps_that_point_at_the_object_hit_and_planted_others_miss() -> None:
    healthy = GradCam().measure(maps=maps_at(0, 3), regions=Regions(corner()))
    assert of(healthy, "pointing_game").distribution == Counts(k=N, n=N)
    beside = GradCam().measure(maps=maps_at(np.arange(N) % 4, 0), regions=Regions(corner()))
    assert of(beside, "pointing_game").distribution == Counts(k=0, n=N)
    text = beside.blocks[1]
    assert isinstance(text, Text) and "6% of a picture" in text.text and "40 of 40" in text.text


def test_pictures_without_a_region_are_left_out_and_counted() -> None:
    inside = corner()
    inside[:10] = 0
    found = GradCam().measure(maps=maps_at(0, np.where(np.arange(N) < 20, 3, 2)), regions=Regions(inside))
    assert of(found, "pointing_game").distribution == Counts(k=10, n=30)
    text = found.blocks[1]
    assert isinstance(text, Text) and "30 of 40" in text.text
    none = GradCam().measure(maps=maps_at(0, 3), regions=Regions(inside * 0))
    assert "pointing_game" not in {each.name for each in none.measurements}


def test_an_empty_map_points_nowhere_and_groups_count_as_one() -> None:
    assert hits(np.zeros((1, 2, 2)), np.ones((1, 8, 8), bool)) == [False]
    groups = tuple(f"g{row // 4}" for row in range(N))
    found = GradCam().measure(maps=maps_at(0, 3, groups=groups), regions=Regions(corner()))
    assert (of(found, "pointing_game").n, of(found, "pointing_game").unit_of_resampling) == (10, "group")


def test_layers_are_measured_and_shown_one_below_the_other() -> None:
    check, subject = GradCam(layer=("auto", "resnet.encoder.stages.0"), rows=20), digits()
    found = evidence(check, subject)
    images = found.blocks[0]
    assert isinstance(images, Images) and len(images.rows) == 3 and images.rows[2].label == "resnet.encoder.stages.0"
    assert [len(row.pictures) for row in images.rows] == [4, 4, 4]
    assert of(found, "all_zero_share", "resnet.encoder.stages.0").n == 20
    last = images.rows[1].label
    twice = evidence(GradCam(layer=("auto", last), rows=20), subject)
    assert [each.of for each in twice.measurements] == ["", ""] and set(twice.samples) == {"all_zero_share"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight grey pictures of 20 x 10 pixels; the left half of each is its object."""
    rng = np.random.default_rng(0)
    lines = ["file,left,top,right,bottom"]
    for index in range(8):
        name = f"{index % 2}/picture{index}"
        for place in (tmp_path / "pics" / name, tmp_path / "masks" / name):
            place.parent.mkdir(parents=True, exist_ok=True)
        grey = rng.integers(0, 255, (10, 20), dtype=np.uint8)
        Image.fromarray(grey).save(tmp_path / "pics" / f"{name}.jpg")
        mask = np.zeros((10, 20), np.uint8)
        mask[:, :10] = 255
        if index != 3:
            lines.append(f"{name}.jpg,0,0,10,10")
            Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    return tmp_path


def subject_of(folder: Path, **options: Any) -> Subject:
    """The network on digits, asked of the folder's pictures, which it resizes to its own side."""
    one = digits()
    entry = DataEntry(name="eval", source="image_folder", options={"path": "pics", **options})
    return one.model_copy(update={"data": labels.match(one.model, data.describe(entry, folder))})


@pytest.mark.parametrize("options", [{"boxes": "boxes.csv"}, {"masks": "masks"}])
def test_boxes_and_masks_go_through_the_models_own_resizing(folder: Path, options: dict[str, str]) -> None:
    subject = subject_of(folder, **options)
    need = regions_of(subject, 8)
    assert need is not None and "regions" in GradCam().needs(subject)
    loader = sweep_of(subject).batches.load(folder)  # type: ignore[attr-defined]  # a live need
    regions = need.build(batches=loader)
    assert regions.inside.shape[1:] == loader.shown(range(1))[0].shape[:2]
    names = [loader.dataset.examples[row] for row in loader.order]
    lost = names.index(loader.dataset.examples[loader.dataset.labels.index("1") + 1])
    assert regions.known() == [row for row in range(8) if row != lost]
    half = regions.inside[regions.known()[0]].mean(axis=0)
    assert half[: len(half) // 2 - 1].min() == 1 and half[len(half) // 2 + 1 :].max() == 0


def test_what_the_data_say_of_no_picture_or_twice_is_refused(folder: Path) -> None:
    assert regions_of(subject_of(folder), 8) is None
    with pytest.raises(SourceError, match="both"):
        subject_of(folder, boxes="boxes.csv", masks="masks")
    for text, said in (
        ("file,left,top,right,bottom\nnobody.jpg,0,0,1,1", "nobody.jpg"), ("file,left\n", "no column 'top'"),
        ("file,left,top,right,bottom\n1/picture1.jpg,a,0,1,1", "line 2"),
        ("file,left,top,right,bottom\n1/picture1.jpg,5,0,5,1", "empty"),
    ):  # fmt: skip
        (folder / "boxes.csv").write_text(text)
        with pytest.raises(SourceError, match=said):
            subject_of(folder, boxes="boxes.csv")
    (folder / "none").mkdir()
    with pytest.raises(SourceError, match="no picture has a mask"):
        subject_of(folder, masks="none")


def test_regions_that_change_after_the_description_are_refused(folder: Path) -> None:
    subject = subject_of(folder, boxes="boxes.csv")
    with (folder / "boxes.csv").open("a") as stream:
        stream.write("\n1/picture3.jpg,0,0,5,5")
    with pytest.raises(SourceError, match="changed"):
        make(sweep_of(subject).batches, folder)
    assert subject_of(folder, boxes="boxes.csv").data.digest != subject.data.digest  # type: ignore[union-attr]
