"""Make the models of the example audits: a digit classifier early in its training, and the one it became.

    python specs/assets/make_assets.py

writes, beside this file and from scratch (seeded, CPU, under a minute):

    digits-early/       a tiny ResNet after a few steps, for audits that fine-tune it themselves
    digits-shipped/     the same net, trained; its history twice: as ckpt/step-*.safetensors, the last one being the
                        model, and as train.trace, which `auditor.record` wrote of the same run
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy
from transformers import ResNetConfig, ResNetForImageClassification

import auditor
from auditor.sources.data import describe, load
from auditor.sources.models.processor import steps_of
from auditor.spec.model import DataEntry

HERE = Path(__file__).resolve().parent
SEED = 0
SIDE, MEAN, STD = 32, 0.305, 0.376  # pixels of the resized picture; mean and sd of the train split in [0, 1]
EARLY, LAST, EVERY = 20, 200, 10
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


def digits(part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures as the model sees them and labels, of the audit's own train or test split."""
    data = load(describe(DataEntry(name=part, source="sklearn", options={"name": "digits", "split": part}), HERE), HERE)
    steps, _ = steps_of(PROCESSOR, channels=1)
    seen = [steps.normalized(steps.pixels(data.fetch(row))) for row in range(data.rows)]
    return torch.tensor(np.stack(seen)), torch.tensor([int(label) for label in data.labels])


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
    inputs, labels = digits("train")
    test_inputs, test_labels = digits("test")
    model = net().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=0.0)
    drawn = batches(len(labels), torch.Generator().manual_seed(SEED))
    trace = HERE / "digits-shipped" / "train.trace"
    trace.parent.mkdir(parents=True, exist_ok=True)
    trace.unlink(missing_ok=True)
    checkpoint(model, 0)
    with auditor.record(model, optimizer, trace, every=EVERY, dense=0) as recorder:
        for step, batch in zip(range(1, LAST + 1), drawn, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = PEAK * (1 + math.cos(math.pi * (step - 1) / LAST)) / 2
            optimizer.zero_grad()
            loss = cross_entropy(model(inputs[batch]).logits, labels[batch])
            loss.backward()
            optimizer.step()
            seen = {"accuracy": accuracy(model, test_inputs, test_labels)} if step % EVERY == 0 else {}
            recorder.step(loss=loss, metrics=seen)
            if step == EARLY:
                write(model, HERE / "digits-early")
            if step % EVERY == 0:
                checkpoint(model, step)
                print(f"step {step:4d}  accuracy {seen['accuracy']:.3f}")
    write(model, HERE / "digits-shipped")


if __name__ == "__main__":
    main()
