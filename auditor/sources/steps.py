"""Steps: how a picture becomes a tensor, as data that can be read, compared, digested and shown."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from auditor.errors import SourceError
from auditor.spec.options import Transforms
from auditor.values import Value

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Interpolation = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
Origin = Literal["model files", "spec", "assumed"]
INTERPOLATIONS: tuple[Interpolation, ...] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
KEYS = ("resize", "crop", "interpolation", "rescale", "mean", "std", "channels")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Steps(Value):
    """Convert to `channels`, resize, crop the centre, scale by `rescale`, then (x - mean) / std per channel.

    resize: (shorter side,) keeps the aspect, (height, width) does not, () leaves the size alone. crop: (height, width).
    offset: how half a pixel of a crop is rounded: "round" is torchvision's rule, "floor" that of transformers.
    origin: for each key, whether it came from the model's files, from the spec, or had to be assumed.
    """

    kind: Literal["image"] = "image"
    resize: tuple[int, ...] = Field((), max_length=2)
    crop: tuple[int, ...] = Field((), max_length=2)
    interpolation: Interpolation = "bilinear"
    rescale: float = 1 / 255
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: Literal[1, 3] = 3
    offset: Literal["round", "floor"] = "round"
    origin: dict[str, Origin] = {}

    def pixels(self, picture: "Image.Image") -> "np.ndarray[Any, Any]":
        """The picture as the model sees it before normalization: uint8, height x width x channels."""
        import numpy as np

        converted = picture.convert("L" if self.channels == 1 else "RGB")
        array = np.asarray(_cropped(_resized(converted, self.resize, self.interpolation), self.crop, self.offset))
        return array.reshape(*array.shape[:2], self.channels)

    def normalized(self, pixels: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """float32, channels x height x width, of uint8 pixels (height x width x channels)."""
        import numpy as np

        scaled: np.ndarray[Any, Any] = pixels.astype(np.float32) * np.float32(self.rescale)
        if self.mean:
            scaled = (scaled - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))

    def restored(self, inputs: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """The inverse of `normalized`, rounded to uint8 and clipped: what an input tensor looks like."""
        import numpy as np

        plain: np.ndarray[Any, Any] = inputs.transpose(1, 2, 0)
        if self.mean:
            plain = plain * np.asarray(self.std, np.float32) + np.asarray(self.mean, np.float32)
        return np.clip(np.rint(plain / self.rescale), 0, 255).astype(np.uint8)


def assumed(channels: Literal[1, 3] = 3) -> Steps:
    """ImageNet's evaluation steps (256, crop 224), every key marked as assumed."""
    colour = channels == 3
    return Steps(
        resize=(256,),
        crop=(224, 224),
        mean=IMAGENET_MEAN if colour else (0.5,),
        std=IMAGENET_STD if colour else (0.5,),
        channels=channels,
        origin=dict.fromkeys(KEYS, "assumed"),
    )


def overridden(steps: Steps, transforms: Transforms | None) -> Steps:
    """The steps with the keys that the spec gives, each marked as coming from the spec. SourceError for an unsound mean
    or std."""
    if transforms is None:
        return sound(steps)
    if transforms.channels is not None and steps.origin.get("mean") == steps.origin.get("std") == "assumed":
        plain = assumed(transforms.channels)
        steps = steps.model_copy(update={"mean": plain.mean, "std": plain.std})
    given: dict[str, Any] = transforms.model_dump(exclude_none=True)
    given.update({key: tuple(given[key]) for key in ("mean", "std") if key in given})
    if "mean" in given:
        given["rescale"] = 1 / 255  # a spec's mean and std speak of values in [0, 1]
    if "resize" in given:
        given["resize"] = (given["resize"],)
    if "crop" in given:
        given["crop"] = (given["crop"], given["crop"])
    elif "resize" in given and steps.origin.get("crop") == "assumed":
        given["crop"] = ()  # a stated size without a crop means that size
    origin: dict[str, Any] = {**steps.origin, **dict.fromkeys(given, "spec")}
    return sound(Steps.model_validate({**steps.model_dump(), **given, "origin": origin}))


def sound(steps: Steps) -> Steps:
    """The steps, if mean and std have one value a channel: numpy would make three channels of one grey one and three
    means, without a word."""
    for key in ("mean", "std"):
        count = len(getattr(steps, key))
        if count not in (1, steps.channels) and (steps.mean or steps.std):
            raise SourceError(
                f"transforms.{key}: expected {steps.channels} values, one a channel, found {count}",
                hint="give `mean`, `std` and `channels` that belong together",
            )
    if not all(value > 0 for value in steps.std):
        raise SourceError(f"transforms.std: expected numbers above 0, found {_shown(steps.std)}")
    return steps


def assumptions(steps: Steps) -> tuple[str, ...]:
    """One sentence that lists what had to be assumed, or nothing."""
    keys = [key for key in KEYS if steps.origin.get(key) == "assumed"]
    if not keys:
        return ()
    listed = ", ".join(f"{key} {_shown(getattr(steps, key))}" for key in keys)
    return (f"input steps assumed, since neither the spec nor the model's files give them: {listed}",)


def _shown(value: Any) -> str:
    if not isinstance(value, tuple):
        return "1/255" if value == 1 / 255 else str(value)
    return " x ".join(map(str, value)) if all(isinstance(item, int) for item in value) else str(value)


def _resized(picture: "Image.Image", resize: tuple[int, ...], interpolation: Interpolation) -> "Image.Image":
    from PIL import Image

    if not resize:
        return picture
    width, height = picture.size
    if len(resize) == 2:
        size = (resize[1], resize[0])
    elif width <= height:
        size = (resize[0], int(resize[0] * height / width))
    else:
        size = (int(resize[0] * width / height), resize[0])
    return picture if size == picture.size else picture.resize(size, Image.Resampling[interpolation.upper()])


def _cropped(picture: "Image.Image", crop: tuple[int, ...], offset: str) -> "Image.Image":
    if not crop:
        return picture
    height, width = crop
    left, top = (_start(have, want, offset) for have, want in zip(picture.size, (width, height), strict=True))
    return picture.crop((left, top, left + width, top + height))  # Pillow fills with black outside the picture


def _start(have: int, want: int, offset: str) -> int:
    if offset == "floor":
        return (have - want) // 2  # also where it is negative: the smaller border comes last
    return round((have - want) / 2) if have >= want else -((want - have) // 2)
