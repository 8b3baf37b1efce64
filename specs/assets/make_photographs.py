"""Makes specs/assets/photographs and imagenet-classes.txt from installed packages: views of five known photographs.

    python specs/assets/make_photographs.py [FOLDER]

Each photograph (two of scikit-learn, three of scikit-image) gives eight views: seeded random crops of 70 to 100 percent
of its shorter side, so a view is an independent draw from the crops of these five photographs, and of nothing else.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

VIEWS = 8
SIDE = 288
PHOTOGRAPHS = {
    "palace": "sklearn/datasets/images/china.jpg",
    "daisy": "sklearn/datasets/images/flower.jpg",
    "tiger cat": "skimage/data/chelsea.png",
    "espresso": "skimage/data/coffee.png",
    "missile": "skimage/data/rocket.jpg",
}


def main(folder: Path) -> None:
    """Write photographs/CLASS/NAME-i.png and imagenet-classes.txt into the folder."""
    from torchvision.models import MobileNet_V2_Weights  # type: ignore[import-untyped]

    folder.mkdir(parents=True, exist_ok=True)
    categories = MobileNet_V2_Weights.IMAGENET1K_V2.meta["categories"]
    (folder / "imagenet-classes.txt").write_text("\n".join(categories) + "\n")
    generator = np.random.default_rng(0)
    for name, source in PHOTOGRAPHS.items():
        place = folder / "photographs" / name
        place.mkdir(parents=True, exist_ok=True)
        picture = Image.open(located(source)).convert("RGB")
        for index in range(VIEWS):
            view(picture, generator).save(place / f"{Path(source).stem}-{index}.png")


def view(picture: Image.Image, generator: np.random.Generator) -> Image.Image:
    """A square crop of random size and place, scaled to 288 pixels."""
    side = int(min(picture.size) * generator.uniform(0.7, 1.0))
    left, top = (int(generator.integers(0, whole - side + 1)) for whole in picture.size)
    return picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def located(source: str) -> Path:
    """A file inside an installed package."""
    package, _, inner = source.partition("/")
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: make real-models")
    return Path(spec.origin).parent / inner


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
