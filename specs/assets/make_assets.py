"""Make the models of the example audits: a digit classifier early in its training, and the one it became.

    python specs/assets/make_assets.py

writes, beside this file and from scratch (seeded, CPU, under a minute):

    digits-early/       a tiny ResNet after a few steps, for audits that fine-tune it themselves
    digits-shipped/     the same net, trained; its history as ckpt/step-*.safetensors, the last one being the model
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn.functional import cross_entropy
from transformers import ResNetConfig, ResNetForImageClassification

HERE = Path(__file__).resolve().parent
SEED = 0
SIDE, MEAN, STD = 32, 0.305, 0.376  # pixels of the resized picture; mean and sd of the train split in [0, 1]
EARLY, FIRST, EVERY, CHECKPOINTS = 20, 25, 25, 8
BATCH, PEAK = 32, 3e-3
PROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_convert_rgb": False,
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [MEAN],
    "image_std": [STD],
}


def net() -> ResNetForImageClassification:
    """A ResNet of two basic stages for grey pictures, about 10,000 parameters."""
    names = [str(digit) for digit in range(10)]
    config = ResNetConfig(
        num_channels=1, embedding_size=12, hidden_sizes=[12, 20], depths=[1, 1], layer_type="basic",
        id2label=dict(enumerate(names)), label2id={name: index for index, name in enumerate(names)},
    )  # fmt: skip
    return ResNetForImageClassification(config)


def pictures(pixels: NDArray[np.float64]) -> torch.Tensor:
    """What the model sees of 8 x 8 digits with values 0 to 16: bilinear, scaled to [0, 1], normalized."""
    grey = np.round(pixels * (255 / 16)).astype(np.uint8)
    resized = [np.asarray(Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for one in grey]
    return ((torch.tensor(np.stack(resized)).float() / 255 - MEAN) / STD).unsqueeze(1)


def batches(rows: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Endless full batches of row numbers, a fresh permutation an epoch."""
    while True:
        order = torch.randperm(rows, generator=generator)
        for start in range(0, rows - BATCH + 1, BATCH):
            yield order[start : start + BATCH]


def accuracy(model: ResNetForImageClassification, inputs: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of right answers, in eval mode."""
    model.eval()
    with torch.inference_mode():
        right = model(inputs).logits.argmax(1) == labels
    model.train()
    return float(right.float().mean())


def write(model: ResNetForImageClassification, folder: Path) -> None:
    """The model folder that any transformers program reads."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR, indent=2) + "\n")


def checkpoint(model: ResNetForImageClassification, step: int) -> None:
    """The weights and buffers after `step` steps."""
    folder = HERE / "digits-shipped" / "ckpt"
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / f"step-{step:04d}.safetensors", metadata={"format": "pt"})


def main() -> None:
    """Train once, and write the two model folders."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    bunch = load_digits()
    train, test = train_test_split(np.arange(1797), test_size=0.3, random_state=0, stratify=bunch.target)
    inputs, labels = pictures(bunch.images), torch.tensor(bunch.target)
    model = net().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=0.0)
    kept = {FIRST + EVERY * index for index in range(CHECKPOINTS)}
    drawn = batches(len(train), torch.Generator().manual_seed(SEED))
    for step, batch in zip(range(1, max(kept) + 1), drawn, strict=False):
        rows = torch.as_tensor(train)[batch]
        optimizer.zero_grad()
        cross_entropy(model(inputs[rows]).logits, labels[rows]).backward()
        optimizer.step()
        if step == EARLY:
            write(model, HERE / "digits-early")
            print(f"early    step {step:4d}  accuracy {accuracy(model, inputs[test], labels[test]):.3f}")
        if step in kept:
            checkpoint(model, step)
            print(f"         step {step:4d}  accuracy {accuracy(model, inputs[test], labels[test]):.3f}")
    write(model, HERE / "digits-shipped")


if __name__ == "__main__":
    main()
