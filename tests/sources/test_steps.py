"""Steps equal what torchvision's transforms and transformers' image processors compute, on real photographs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from auditor.errors import SourceError
from auditor.sources.encode import Columns
from auditor.sources.models.processor import steps_of
from auditor.sources.steps import IMAGENET_MEAN, IMAGENET_STD, Steps, assumed, assumptions, overridden
from auditor.spec.options import Transforms


def test_assumed_steps_equal_torchvision(photographs: list[Any]) -> None:
    from torchvision import transforms

    theirs = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )
    for picture in photographs:
        ours = assumed().normalized(assumed().pixels(picture))
        np.testing.assert_allclose(ours, theirs(picture).numpy(), atol=2e-6)


@pytest.mark.parametrize("crop", [63, 224, 300])
def test_crops_round_and_pad_as_torchvision(photographs: list[Any], crop: int) -> None:
    from torchvision import transforms

    steps = Steps(resize=(251,), crop=(crop, crop), interpolation="bicubic")
    theirs = transforms.Compose(
        [transforms.Resize(251, interpolation=transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(crop)]
    )
    for picture in photographs:
        np.testing.assert_array_equal(steps.pixels(picture), np.asarray(theirs(picture)))


PROCESSORS = {
    "vit": ("ViTImageProcessor", {"size": {"height": 48, "width": 40}}),
    "shortest edge and crop": (
        "BitImageProcessor",
        {"size": {"shortest_edge": 65}, "crop_size": {"height": 48, "width": 48}, "do_center_crop": True},
    ),
    "convnext below 384": ("ConvNextImageProcessor", {"size": {"shortest_edge": 64}, "crop_pct": 0.9}),
    "convnext from 384": ("ConvNextImageProcessor", {"size": {"shortest_edge": 384}}),
    "levit enlarges": (
        "LevitImageProcessor",
        {"size": {"shortest_edge": 56}, "crop_size": {"height": 48, "width": 48}},
    ),
    "poolformer enlarges": (
        "PoolFormerImageProcessor",
        {"size": {"shortest_edge": 56}, "crop_size": {"height": 48, "width": 48}, "crop_pct": 0.8},
    ),
    "efficientnet divides twice": ("EfficientNetImageProcessor", {"size": {"height": 32, "width": 32}}),
    "efficientnet from -1": ("EfficientNetImageProcessor", {"rescale_factor": 1 / 127.5, "rescale_offset": True}),
    "clip": ("CLIPImageProcessor", {}),
    "mobilenet": ("MobileNetV2ImageProcessor", {}),
    "no normalization": ("ViTImageProcessor", {"size": {"height": 32, "width": 32}, "do_normalize": False}),
    "no resize": ("ViTImageProcessor", {"do_resize": False, "image_mean": [0.1, 0.2, 0.3]}),
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_steps_equal_the_image_processor(name: str, photographs: list[Any], tmp_path: Path) -> None:
    """Exactly the Pillow processor; the tensor processor's own resampling differs by at most 4 grey levels."""
    import json

    import transformers

    cls, settings = PROCESSORS[name]
    pil = getattr(transformers, f"{cls}Pil")(**settings)
    pil.save_pretrained(tmp_path)
    steps, notes = steps_of(json.loads((tmp_path / "preprocessor_config.json").read_text()), channels=3)
    tensor = getattr(transformers, cls)(**settings)
    assert notes == ()
    for picture in photographs:
        ours = steps.normalized(steps.pixels(picture))
        np.testing.assert_allclose(ours, pil(picture, return_tensors="np")["pixel_values"][0], atol=3e-6)
        other = tensor(picture, return_tensors="np")["pixel_values"][0]
        assert np.abs(ours - other).max() <= 5 / 255 / min(steps.std or (1.0,))


def test_wrong_normalization_is_seen(photographs: list[Any]) -> None:
    right = assumed()
    wrong = overridden(right, Transforms(mean=(0.5, 0.5, 0.5)))
    pixels = right.pixels(photographs[0])
    assert np.abs(right.normalized(pixels) - wrong.normalized(pixels)).max() > 0.05


def test_restored_is_the_inverse_of_normalized(photographs: list[Any]) -> None:
    pixels = assumed().pixels(photographs[1])
    np.testing.assert_array_equal(assumed().restored(assumed().normalized(pixels)), pixels)


def test_grey_and_palette_pictures_get_the_models_channels() -> None:
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    assert Steps(channels=3).pixels(grey).shape == (8, 8, 3)
    assert Steps(channels=1).pixels(grey.convert("P")).shape == (8, 8, 1)


def test_the_origin_of_each_key_is_kept_and_assumptions_are_said() -> None:
    steps = overridden(assumed(), Transforms(resize=64, mean=(0.5, 0.5, 0.5)))
    assert (steps.resize, steps.crop) == ((64,), ())
    assert (steps.origin["mean"], steps.origin["std"]) == ("spec", "assumed")
    (sentence,) = assumptions(steps)
    assert "std" in sentence and "mean" not in sentence
    full = Transforms(resize=64, crop=60, interpolation="bicubic", mean=(0.5,), std=(0.5,), channels=1)
    assert assumptions(overridden(assumed(), full)) == ()
    assert "rescale 1/255" in assumptions(assumed())[0]


def test_unsound_means_are_an_error_and_not_more_channels() -> None:
    with pytest.raises(SourceError, match=r"transforms\.mean: expected 1 values, one a channel, found 3"):
        overridden(assumed(1), Transforms(mean=(0.5, 0.5, 0.5)))
    with pytest.raises(SourceError, match=r"transforms\.std: expected 3 values, one a channel, found 0"):
        overridden(Steps(), Transforms(mean=(0.5, 0.5, 0.5)))
    with pytest.raises(SourceError, match=r"expected numbers above 0, found \(0\.0,\)"):
        overridden(assumed(1), Transforms(std=(0.0,)))
    grey = overridden(assumed(), Transforms(channels=1))
    assert (grey.mean, grey.std) == ((0.5,), (0.5,)) and "mean (0.5,)" in assumptions(grey)[0]


@pytest.mark.parametrize(("mean", "std"), [((1.0, 2.0), (1.0, 1.0)), ((1.0,), (0.0,)), ((1.0,), (1.0, 2.0))])
def test_columns_that_do_not_fit_their_means_are_an_error(mean: Any, std: Any) -> None:
    with pytest.raises(SourceError, match="deviations for 3 columns"):
        Columns(mean, std).encode([np.zeros(3)])
    assert Columns((1.0,), (2.0,)).encode([np.zeros(3)]).tolist() == [[-0.5, -0.5, -0.5]]


def test_unread_keys_of_a_processor_are_reported() -> None:
    steps, notes = steps_of({"size": 32, "do_pad": True}, channels=1)
    assert steps.resize == (32, 32) and "do_pad" in notes[0]
    assert steps.origin["mean"] == "assumed"


SILENT = ("ViT", "Beit", "Bit", "CLIP", "ConvNext", "DeiT", "Levit", "MobileNetV1", "PoolFormer", "Pvt", "Siglip")


@pytest.mark.parametrize("family", SILENT)
@pytest.mark.parametrize("config", [{}, {"size": 64, "do_normalize": True}])
def test_an_old_file_is_read_with_its_family_s_own_defaults(
    family: str, config: dict[str, Any], photographs: list[Any]
) -> None:
    """Files of older versions name a feature extractor, write a size as one number and leave defaults out."""
    import transformers

    steps, notes = steps_of({"feature_extractor_type": f"{family}FeatureExtractor", **config}, channels=3)
    theirs = getattr(transformers, f"{family}ImageProcessorPil")(**config)
    ours = steps.normalized(steps.pixels(photographs[0]))
    np.testing.assert_allclose(ours, theirs(photographs[0], return_tensors="np")["pixel_values"][0], atol=3e-6)
    assert notes == ()


@pytest.mark.parametrize("family", ["MobileViT", "Perceiver", "Siglip2", "Donut", "TextNet"])
def test_a_processor_that_does_something_else_is_told(family: str) -> None:
    import json

    import transformers

    config = json.loads(getattr(transformers, f"{family}ImageProcessorPil")().to_json_string())
    assert steps_of(config, channels=3)[1]
