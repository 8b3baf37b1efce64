"""A transformers image processor's configuration, read by hand into Steps."""

from typing import Any

from auditor.sources.steps import IMAGENET_MEAN, IMAGENET_STD, INTERPOLATIONS, Origin, Steps

UNREAD = ("do_pad", "do_crop_margin", "do_align_long_axis", "do_thumbnail", "size_divisor", "do_color_quantize")


def steps_of(config: dict[str, Any], channels: int) -> tuple[Steps, tuple[str, ...]]:
    """The Steps of a preprocessor_config.json, and what had to be assumed beyond its keys.

    channels: how many the model takes (num_channels of config.json).
    """
    config = config.get("image_processor", config)
    notes = tuple(f"{key} of the image processor is not applied" for key in UNREAD if config.get(key))
    origin: dict[str, Origin] = {}
    resize, crop = _geometry(config)
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


def _geometry(config: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Resize and crop. ConvNeXt's rule: below 384, enlarge by 1 / crop_pct and crop; from 384 on, warp."""
    resize = _size(config.get("size")) if config.get("do_resize", "size" in config) else ()
    crop = _size(config.get("crop_size"), square=True) if config.get("do_center_crop", False) else ()
    if resize and str(config.get("image_processor_type", "")).startswith("ConvNext"):
        side = resize[0]
        if side >= 384:
            return (side, side), crop
        return (int(side / (config.get("crop_pct") or 224 / 256)),), (side, side)
    return resize, crop


def _size(size: Any, square: bool = False) -> tuple[int, ...]:
    if isinstance(size, int):
        return (size, size)
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
    return _per_channel(mean, channels), _per_channel(std, channels)


def _per_channel(value: Any, channels: int) -> tuple[float, ...]:
    values = tuple(float(item) for item in value) if isinstance(value, list | tuple) else (float(value),)
    return values * channels if len(values) == 1 else values
