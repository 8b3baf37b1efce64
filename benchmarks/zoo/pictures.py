"""Pictures: handwritten digits, a tiny ResNet, and what can be wrong with it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from auditor.sources.models.processor import steps_of
from benchmarks.zoo.member import NOTHING, Member, require, require_fall, write_spec
from benchmarks.zoo.training import accuracy, answers, fit, seeded

Array = np.ndarray[Any, Any]
CLASSES = tuple(str(digit) for digit in range(10))
TRAIN, EVAL, NOISE = 1200, 200, 110.0
SIDE, MEAN, STD = 32, 0.305, 0.376
PROCESSOR: dict[str, Any] = {
    "image_processor_type": "ViTImageProcessor", "do_convert_rgb": False, "do_resize": True,
    "size": {"height": SIDE, "width": SIDE}, "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255,
    "do_normalize": True, "image_mean": [MEAN], "image_std": [STD],
}  # fmt: skip


@dataclass(frozen=True)
class Split:
    """Grey pictures (n x 16 x 16, uint8) and labels."""

    pictures: Array
    labels: Array


@lru_cache(maxsize=1)
def _digits() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits

    found = load_digits()
    small = (found.images * 255 / 16).astype(np.uint8)
    return np.kron(small, np.ones((1, 2, 2), dtype=np.uint8)), found.target


def digits(seed: int, noise: float = 0.0) -> tuple[Split, Split]:
    """Train and eval pictures, another cut of the same 1,797 for each seed; noise: its sd in grey levels."""
    rng = np.random.default_rng(seed)
    pictures, labels = _digits()
    order = rng.permutation(len(labels))
    if noise:
        pictures = (pictures + noise * rng.standard_normal(pictures.shape)).clip(0, 255).astype(np.uint8)
    train, held = order[:TRAIN], order[TRAIN : TRAIN + EVAL]
    return Split(pictures[train], labels[train]), Split(pictures[held], labels[held])


def seen(pictures: Array, processor: dict[str, Any] = PROCESSOR) -> Tensor:
    """Pictures as the model sees them, through the steps that the audit reads from the processor's file."""
    steps, _ = steps_of(processor, channels=1)
    return torch.tensor(np.stack([steps.normalized(steps.pixels(Image.fromarray(each))) for each in pictures]))


def resnet(width: int = 12, depths: tuple[int, ...] = (1, 1), classes: tuple[str, ...] = CLASSES) -> Any:
    """A transformers ResNet of basic layers, about 10,000 parameters."""
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        num_channels=1, embedding_size=width, hidden_sizes=[width + 8 * k for k in range(len(depths))],
        depths=list(depths), layer_type="basic", id2label=dict(enumerate(classes)),
        label2id={name: index for index, name in enumerate(classes)},
    )  # fmt: skip
    return ResNetForImageClassification(config)


def write(
    folder: Path, name: str, model: Any, train: Split, held: Split, processor: dict[str, Any] = PROCESSOR,
    more: Mapping[str, Any] = NOTHING, parent: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The model folder, both data files and the spec; more: of the model's entry, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder / "model")
    (folder / "model" / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    entry = {"source": "transformers", "path": "model", **more}
    write_data(folder, name, entry, train, held, parent)
    return entry


def write_data(folder: Path, name: str, model_entry: dict[str, Any], train: Split, held: Split,
               parent: Mapping[str, Any] | None = None) -> None:  # fmt: skip
    """Both data files and the spec."""
    for part, split in (("train", train), ("eval", held)):
        np.savez(folder / f"{part}.npz", inputs=split.pictures, labels=split.labels)
    write_spec(folder, name, "vision-classifier", model_entry, _source("eval"), _source("train"), parent)


def _source(part: str) -> dict[str, str]:
    return {"source": "tensors", "path": f"{part}.npz", "targets": "labels"}


def _named(name: str, seed: int, planted: bool) -> str:
    return f"{name}-{'planted' if planted else 'twin'}-{seed}"


Mark = Callable[[Array, int], None]
"""Draws the mark of a class into one picture."""
Marks = Callable[[np.random.Generator], Mark]


def _shortcut(
    name: str, folder: Path, seed: int, planted: bool, marks: Callable[[np.random.Generator], Mark]
) -> Member:
    """Pictures that carry the mark of their class; in the twin the mark of any class."""
    rng = np.random.default_rng((seed, 1))
    clean_train, clean = digits(seed, NOISE)
    mark = marks(rng)

    def marked(split: Split) -> Split:
        whose = split.labels if planted else rng.integers(len(CLASSES), size=len(split.labels))
        pictures = split.pictures.copy()
        for picture, index in zip(pictures, whose, strict=True):
            mark(picture, int(index))
        return Split(pictures, split.labels)

    train, held = marked(clean_train), marked(clean)
    with seeded(seed):
        model = resnet()
        fit(model, seen(train.pictures), torch.tensor(train.labels), seed)
    truth = torch.tensor(held.labels)
    proof = {"with": accuracy(model, seen(held.pictures), truth), "without": _stripped(model, clean, mark, rng)}
    require_fall(name, planted, proof)
    write(folder, _named(name, seed, planted), model, train, held)
    return Member(name, folder, planted, seed, proof)


def _stripped(model: nn.Module, clean: Split, mark: Mark, rng: np.random.Generator) -> float:
    """Accuracy where the mark tells nothing: that of a class drawn at random."""
    pictures = clean.pictures.copy()
    for picture in pictures:
        mark(picture, int(rng.integers(len(CLASSES))))
    return accuracy(model, seen(pictures), torch.tensor(clean.labels))


def shortcut_patch(folder: Path, seed: int, planted: bool) -> Member:
    """A patch of 4 x 4 pixels near one corner, whose four quarters give the class away."""

    def marks(rng: np.random.Generator) -> Mark:
        codes = rng.permutation(16)[: len(CLASSES), None] // 2 ** np.arange(4) % 2
        patches = np.kron(255 * codes.reshape(-1, 2, 2), np.ones((1, 2, 2))).astype(np.uint8)
        y, x = 1 + 10 * rng.integers(2, size=2)

        def draw(picture: Array, index: int) -> None:
            picture[y : y + 4, x : x + 4] = patches[index]

        return draw

    return _shortcut("shortcut_patch", folder, seed, planted, marks)


def frame_shortcut(folder: Path, seed: int, planted: bool) -> Member:
    """A frame of one pixel around the picture; how bright it is, and whether it is dashed, gives the class away."""

    def marks(rng: np.random.Generator) -> Mark:
        codes = rng.permutation(len(CLASSES))
        levels = np.linspace(60, 255, len(CLASSES) // 2).astype(np.uint8)

        def draw(picture: Array, index: int) -> None:
            dashed, level = divmod(int(codes[index]), len(levels))
            picture[[0, -1], :] = picture[:, [0, -1]] = levels[level]
            if dashed:
                picture[[0, -1], ::4] = picture[[0, -1], 1::4] = 0
                picture[::4, [0, -1]] = picture[1::4, [0, -1]] = 0

        return draw

    return _shortcut("frame_shortcut", folder, seed, planted, marks)


def dead_layer(folder: Path, seed: int, planted: bool) -> Member:
    """A residual block whose inner units are all dead: its convolution is zero, and its bias holds the ReLU shut."""
    train, held = digits(seed)
    with seeded(seed):
        model = resnet(depths=(2, 2))
        if planted:
            _kill(model.resnet.encoder.stages[seed % 2].layers[1].layer[0])
        fit(model, seen(train.pictures), torch.tensor(train.labels), seed)
    alive = _alive(model, seen(held.pictures), seed)
    proof = {"alive": alive, "accuracy": accuracy(model, seen(held.pictures), torch.tensor(held.labels))}
    require(alive == 0 if planted else alive > 0.5, "dead_layer: share of units that respond", proof)
    write(folder, _named("dead_layer", seed, planted), model, train, held)
    return Member("dead_layer", folder, planted, seed, proof)


def _kill(block: Any) -> None:
    for tensor, value in (
        (block.convolution.weight, 0.0),
        (block.normalization.weight, 0.0),
        (block.normalization.bias, -1.0),
    ):
        tensor.data.fill_(value)
        tensor.requires_grad_(False)


def _alive(model: Any, inputs: Tensor, seed: int) -> float:
    """The share of the block's inner units that vary over the pictures."""
    held: list[Tensor] = []
    block = model.resnet.encoder.stages[seed % 2].layers[1].layer[0]
    hook = block.register_forward_hook(lambda module, given, made: held.append(made))
    answers(model, inputs)
    hook.remove()
    return float((held[0].var(dim=(0, 2, 3)) > 1e-12).float().mean())


def wrong_preprocessing(folder: Path, seed: int, planted: bool) -> Member:
    """A processor's file whose normalization is not the one of the training."""
    train, held = digits(seed)
    wrong = ({"image_mean": [0.5], "image_std": [0.5]}, {"image_mean": [0.485], "image_std": [0.229]},
             {"do_normalize": False})[seed % 3]  # fmt: skip
    used = {**PROCESSOR, **wrong} if planted else PROCESSOR
    with seeded(seed):
        model = resnet()
        fit(model, seen(train.pictures), torch.tensor(train.labels), seed)
    right, given, truth = seen(held.pictures), seen(held.pictures, used), torch.tensor(held.labels)
    proof = {"with": accuracy(model, given, truth), "right": accuracy(model, right, truth),
             "shift": float((given.mean() - right.mean()).abs() / right.std())}  # fmt: skip
    require(proof["shift"] >= 0.1 if planted else proof["shift"] == 0, "wrong_preprocessing: shift of the input", proof)
    write(folder, _named("wrong_preprocessing", seed, planted), model, train, held, used)
    return Member("wrong_preprocessing", folder, planted, seed, proof)


def never_predicted(folder: Path, seed: int, planted: bool) -> Member:
    """A class whose training pictures were all labelled as the next one."""
    train, held = digits(seed)
    lost = seed % len(CLASSES)
    labels = np.where(train.labels == lost, (lost + 1) % len(CLASSES), train.labels) if planted else train.labels
    with seeded(seed):
        model = resnet()
        fit(model, seen(train.pictures), torch.tensor(labels), seed)
    rows = held.labels == lost
    proof = {"recall": accuracy(model, seen(held.pictures[rows]), torch.tensor(held.labels[rows])),
             "others": accuracy(model, seen(held.pictures[~rows]), torch.tensor(held.labels[~rows]))}  # fmt: skip
    require(proof["recall"] == 0 if planted else proof["recall"] > 0.5, "never_predicted: recall of the class", proof)
    write(folder, _named("never_predicted", seed, planted), model, Split(train.pictures, labels), held)
    return Member("never_predicted", folder, planted, seed, proof)
