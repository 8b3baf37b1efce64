"""Models and batches as live needs: seeded order, content addresses, and fine-tunes rebuilt from stored weights."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from auditor.artifacts.roots import Batches, Model, build_parent, sweep_of, with_weights
from auditor.errors import SourceError
from auditor.sources import data, labels, models
from auditor.sources.models.finetune import describe_finetune
from auditor.spec.model import DataEntry, Finetune, ModelEntry
from auditor.subject import DataRef, ModelRef, Recipe, Runtime, Subject

RUNTIME = Runtime(batch_size=8)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with net/: a tiny transformers ResNet for digits."""
    from transformers import ResNetConfig, ResNetForImageClassification, ViTImageProcessor

    folder = tmp_path_factory.mktemp("roots")
    torch.manual_seed(0)
    names = {index: str(index) for index in range(10)}
    config = ResNetConfig(num_channels=1, embedding_size=8, hidden_sizes=[8], depths=[1], layer_type="basic",
                          id2label=names)  # fmt: skip
    ResNetForImageClassification(config).save_pretrained(folder / "net")
    ViTImageProcessor(size={"height": 8, "width": 8}, image_mean=[0.5], image_std=[0.5]).save_pretrained(folder / "net")
    return folder


def net(root: Path) -> ModelRef:
    return models.describe(ModelEntry(name="net", source="transformers", options={"path": "net"}), root)


def digits(root: Path, split: str = "test", **options: Any) -> DataRef:
    return data.describe(
        DataEntry(name=split, source="sklearn", options={"name": "digits", "split": split, **options}), root
    )


def tuned(root: Path, head: int | None = None) -> ModelRef:
    recipe = Recipe(steps=2, head=head)
    entry = ModelEntry(
        name="tuned", source="finetune",
        finetune=Finetune(parent="net", train="train", validation="test", recipe=recipe),
    )  # fmt: skip
    return describe_finetune(entry, net(root), digits(root, "train"), digits(root))


def test_batches_come_in_one_seeded_order(root: Path) -> None:
    ref = net(root)
    matched = labels.match(ref, digits(root, sample={"n": 30}))
    need = Batches(ref, matched, RUNTIME)
    loader = need.load(root)
    read = list(loader)
    assert (need.rows, need.batch_size, loader.rows) == (30, 8, 30)
    assert [batch.start for batch in read] == [0, 8, 16, 24]
    assert [batch.examples for batch in loader.first(12)] == [batch.examples for batch in read[:2]]
    assert read[0].examples == next(iter(Batches(ref, matched, RUNTIME).load(root))).examples
    other = Batches(ref, matched, RUNTIME.model_copy(update={"seed": 1}))
    assert next(iter(other.load(root))).examples != read[0].examples
    assert other.key != need.key
    assert len({example for batch in read for example in batch.examples}) == 30


def test_labels_and_pixels_belong_together(root: Path) -> None:
    ref = net(root)
    loader = Batches(ref, labels.match(ref, digits(root)), RUNTIME).load(root)
    first = next(iter(loader))
    row = loader.order[0]
    assert int(first.labels[0]) == int(loader.dataset.labels[row])
    grey = np.asarray(loader.dataset.fetch(row)) / 255
    np.testing.assert_allclose(first.inputs[0, 0].numpy(), (grey - 0.5) / 0.5, atol=1e-6)
    shown = loader.shown(range(1))[0]
    assert shown.dtype == np.uint8 and shown.shape == (8, 8, 3)
    np.testing.assert_array_equal(shown[:, :, 0], np.asarray(loader.dataset.fetch(row)))


def test_the_model_takes_its_batches(root: Path) -> None:
    ref = net(root)
    matched = labels.match(ref, digits(root, sample={"n": 8}))
    sweep = sweep_of(Subject(model=ref, data=matched, runtime=RUNTIME))
    model = Model(ref, RUNTIME).load(root)
    assert sweep.model == Model(ref, RUNTIME) and sweep.batch_count(None) == 1
    (batch,) = Batches(ref, matched, RUNTIME).load(root)
    leaf, inputs = model.gradient_inputs(batch.inputs)
    assert torch.autograd.grad(model.logits(inputs).sum(), leaf)[0].shape == batch.inputs.shape
    with pytest.raises(ValueError, match="needs data"):
        sweep_of(Subject(model=ref))


def test_unmatched_labels_are_an_error(root: Path) -> None:
    with pytest.raises(SourceError, match="not matched"):
        next(iter(Batches(net(root), digits(root), RUNTIME).load(root)))


def test_a_fine_tune_starts_from_its_parent_and_takes_stored_weights(root: Path) -> None:
    ref = tuned(root)
    assert ref.history is not None and "gradients" in ref.history.holds
    assert ref.train is not None and ref.train.labels["9"] == 9
    module = build_parent(ref, root)
    parent = Model(net(root), RUNTIME).load(root).module
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), parent.parameters(), strict=True))
    weights = {name: tensor.numpy() * 2 for name, tensor in module.state_dict().items()}
    loaded = with_weights(ref, root, "cpu", weights)
    assert torch.equal(
        loaded.module.state_dict()["classifier.1.weight"], torch.from_numpy(weights["classifier.1.weight"])
    )
    assert ModelRef.model_validate_json(ref.model_dump_json()) == ref


def test_a_new_head(root: Path) -> None:
    ref = tuned(root, head=10)
    torch.manual_seed(1)
    head = build_parent(ref, root).state_dict()["classifier.1.weight"]
    torch.manual_seed(1)
    again = build_parent(ref, root).state_dict()["classifier.1.weight"]
    assert ref.classes == tuple("0123456789") and ref.digest != tuned(root).digest
    assert torch.equal(head, again)
    assert not torch.equal(head, Model(net(root), RUNTIME).load(root).module.state_dict()["classifier.1.weight"])
    with pytest.raises(SourceError, match="as many classes"):
        tuned(root, head=7)


def test_describing_imports_neither_torch_nor_the_sources_libraries(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from auditor.sources import data, models, labels\n"
        "from auditor.spec.model import DataEntry, ModelEntry\n"
        f"root = Path({str(root)!r})\n"
        "m = models.describe(ModelEntry(name='m', source='transformers', options={'path': 'net'}), root)\n"
        "d = data.describe(DataEntry(name='d', source='sklearn', options={'name': 'digits'}), root)\n"
        "labels.match(m, d)\n"
        "import auditor.artifacts.roots\n"
        "print([n for n in ('torch', 'torchvision', 'transformers', 'sklearn', 'PIL', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_weights_that_a_factory_draws_are_the_same_in_every_process(root: Path) -> None:
    """Two checks of one audit may load it in two processes, and must speak of one model."""
    options = {
        "factory": "torch.nn:Linear",
        "kwargs": {"in_features": 3, "out_features": 2},
        "modality": "tabular",
        "classes": ["a", "b"],
    }
    ref = models.describe(ModelEntry(name="drawn", source="factory", options=options), root)
    found = []
    for start in (1, 2):
        torch.manual_seed(start)
        found.append(Model(ref, RUNTIME).load(root).module.state_dict()["weight"])
        assert torch.equal(torch.randn(2), torch.randn(2, generator=torch.Generator().manual_seed(start)))
    assert torch.equal(*found)
    other = Model(ref, RUNTIME.model_copy(update={"seed": 1})).load(root).module.state_dict()["weight"]
    assert not torch.equal(found[0], other)
