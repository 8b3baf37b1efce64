"""Small real models and data on disk, made once a session: random weights, real files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "the", "very", "##s"]


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root folder with resnet/, vit/, bert/ (transformers) and r18.safetensors, r18.pt (torchvision)."""
    import torch
    import torchvision
    from safetensors.torch import save_file

    root = tmp_path_factory.mktemp("zoo")
    torch.manual_seed(0)
    _resnet(root / "resnet")
    _vit(root / "vit")
    _bert(root / "bert")
    net = torchvision.models.resnet18(num_classes=5)
    save_file(net.state_dict(), root / "r18.safetensors")
    torch.save(net.state_dict(), root / "r18.pt")
    return root


def _resnet(folder: Path) -> None:
    from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

    config = ResNetConfig(
        num_channels=1, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic",
        id2label={index: str(index) for index in range(10)},
    )  # fmt: skip
    ResNetForImageClassification(config).save_pretrained(folder)
    size = {"height": 8, "width": 8}
    ViTImageProcessor(size=size, image_mean=[0.5], image_std=[0.5]).save_pretrained(folder)


def _vit(folder: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8,
        id2label={0: "cat", 1: "dog", 2: "Palace"},
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def _bert(folder: Path) -> None:
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, id2label={0: "neg", 1: "pos"},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(folder)


@pytest.fixture(scope="session")
def photographs() -> list[Any]:
    """Two real photographs, and crops of odd sizes of them, as Pillow pictures."""
    from sklearn.datasets import load_sample_images

    pictures = [Image.fromarray(array) for array in load_sample_images().images]
    return [*pictures, pictures[0].crop((10, 20, 331, 280)), pictures[1].crop((0, 0, 255, 401))]


def edit_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def picture(path: Path, value: int, size: tuple[int, int] = (12, 10)) -> None:
    """A noisy RGB picture on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 255, (*size[::-1], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
