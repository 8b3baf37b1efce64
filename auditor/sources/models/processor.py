"""A transformers image processor's configuration, read by hand into Steps."""

import re
from typing import Any

from auditor.sources.steps import IMAGENET_MEAN, IMAGENET_STD, INTERPOLATIONS, Origin, Steps

UNREAD = (
    "do_pad", "do_crop_margin", "do_align_long_axis", "do_thumbnail", "size_divisor", "do_color_quantize",
    "do_flip_channel_order",
)  # fmt: skip
HALF = (0.5, 0.5, 0.5)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def _family(
    size: int, crop: int = 0, shortest: bool = False, resample: int = 3, mean: Any = HALF, std: Any = HALF
) -> dict[str, Any]:
    sides = {"shortest_edge": size} if shortest else {"height": size, "width": size}
    cropped = {"do_center_crop": True, "crop_size": {"height": crop, "width": crop}} if crop else {}
    return {
        "do_resize": True,
        "shortest": shortest,
        "size": sides,
        "resample": resample,
        "image_mean": mean,
        "image_std": std,
        **cropped,
    }


FAMILIES: dict[str, dict[str, Any]] = {
    "ViT": _family(224, resample=2),
    "Beit": _family(224),
    "Bit": _family(224, 224, shortest=True, mean=CLIP_MEAN, std=CLIP_STD),
    "CLIP": _family(224, 224, shortest=True, mean=CLIP_MEAN, std=CLIP_STD),
    "ConvNext": _family(384, shortest=True),
    "DeiT": _family(256, 224),
    "EfficientNet": {**_family(346), "include_top": True},
    "Levit": _family(224, 224, shortest=True, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "MobileNetV1": _family(256, 224, shortest=True, resample=2),
    "MobileNetV2": _family(256, 224, shortest=True, resample=2),
    "PoolFormer": {**_family(224, 224, shortest=True, mean=IMAGENET_MEAN, std=IMAGENET_STD), "crop_pct": 0.9},
    "Pvt": _family(224, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "Segformer": _family(512, resample=2, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "Siglip": {**_family(224), "shortest": True},
}
"""Image processors whose steps are known here, with what each does where its file is silent."""


def steps_of(config: dict[str, Any], channels: int) -> tuple[Steps, tuple[str, ...]]:
    """The Steps of a preprocessor_config.json, and what it asks for that Steps cannot do.

    channels: how many the model takes (num_channels of config.json). A file that names no image processor is read by
    its keys alone, and what it lacks is assumed.
    """
    config = config.get("image_processor", config)
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    family = re.sub(r"(ImageProcessor|FeatureExtractor)(Pil|Fast)?$", "", kind)
    notes: tuple[str, ...] = ()
    if kind and family not in FAMILIES:
        notes = (f"the image processor {kind} is not known to this version",)
    notes += tuple(f"{key} of the image processor is not applied" for key in UNREAD if config.get(key))
    given = {key: value for key, value in config.items() if value is not None}
    config = {**FAMILIES.get(family, {}), **given}
    origin: dict[str, Origin] = {}
    resize, crop = _geometry(config, family)
    mean, std = _normalization(config, channels, origin)
    resample = config.get("resample")
    values: dict[str, Any] = {
        "resize": resize,
        "crop": crop,
        "interpolation": INTERPOLATIONS[resample] if isinstance(resample, int) and 0 <= resample < 6 else "bilinear",
        "rescale": float(config.get("rescale_factor", 1 / 255)) if config.get("do_rescale", True) else 1.0,
        "mean": mean,
        "std": std,
        "channels": channels,
        "offset": "floor",
    }
    if resize and resample is None:
        origin["interpolation"] = "assumed"
    for key in ("resize", "crop", "interpolation", "rescale", "mean", "std", "channels"):
        origin.setdefault(key, "model files")
    return Steps.model_validate({**values, "origin": origin}), notes


def _geometry(config: dict[str, Any], family: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Resize and crop, with the rules that some families hide behind their keys.

    ConvNeXt: below 384, enlarge by 1 / crop_pct and crop; from 384 on, warp. LeViT: enlarge by 256 / 224.
    PoolFormer: enlarge by 1 / crop_pct. A size of one number is the shorter side where the family's default is.
    """
    resize = (
        _size(config.get("size"), config.get("shortest", False)) if config.get("do_resize", "size" in config) else ()
    )
    crop = _size(config.get("crop_size"), square=True) if config.get("do_center_crop", False) else ()
    if not resize:
        return resize, crop
    side = resize[0]
    if family == "ConvNext":
        shorter = int(side / (config.get("crop_pct") or 224 / 256))
        return ((side, side), crop) if side >= 384 else ((shorter,), (side, side))
    if family == "Levit" and len(resize) == 1:
        return (int((256 / 224) * side),), crop
    if family == "PoolFormer" and config.get("crop_pct"):
        return (int(side / config["crop_pct"]),), crop
    return resize, crop


def _size(size: Any, shortest: bool = False, square: bool = False) -> tuple[int, ...]:
    if isinstance(size, int):
        return (size,) if shortest and not square else (size, size)
    if not isinstance(size, dict):
        return ()
    if "height" in size and "width" in size:
        return int(size["height"]), int(size["width"])
    side = size.get("shortest_edge")
    if side is None:
        return ()
    return (int(side), int(side)) if square else (int(side),)


def _normalization(
    config: dict[str, Any], channels: int, origin: dict[str, Origin]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if not config.get("do_normalize", True):
        return (), ()
    mean, std = config.get("image_mean"), config.get("image_std")
    if mean is None or std is None:
        origin["mean"] = origin["std"] = "assumed"
        return (IMAGENET_MEAN, IMAGENET_STD) if channels == 3 else ((0.5,), (0.5,))
    means, stds = _per_channel(mean, channels), _per_channel(std, channels)
    if config.get("rescale_offset"):  # EfficientNet: x * factor - 1 before the mean is taken off
        means = tuple(value + 1 for value in means)
    if config.get("include_top"):  # EfficientNet: divides by the deviation once more
        stds = tuple(value**2 for value in stds)
    return means, stds


def _per_channel(value: Any, channels: int) -> tuple[float, ...]:
    values = tuple(float(item) for item in value) if isinstance(value, list | tuple) else (float(value),)
    return values * channels if len(values) == 1 else values
