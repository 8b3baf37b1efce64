"""Each model source: described without torch, then loaded; the loaded model equals the one that was saved."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from auditor.errors import RefusedError, SourceError
from auditor.sources import models
from auditor.sources.encode import Texts, encoder_of
from auditor.sources.models import torchvision as torchvision_source
from auditor.spec.model import ModelEntry
from auditor.subject import ModelRef
from tests.sources.conftest import edit_json


def entry(source: Any, checkpoints: str = "", **options: Any) -> ModelEntry:
    return ModelEntry(name="m", source=source, options=options, checkpoints=checkpoints)


def described(root: Path, source: str, **options: Any) -> ModelRef:
    return models.describe(entry(source, **options), root)


@pytest.fixture
def folder(zoo: Path, tmp_path: Path) -> Path:
    """A copy of the tiny ResNet folder as tmp_path/net, to be damaged."""
    shutil.copytree(zoo / "resnet", tmp_path / "net")
    return tmp_path


def test_transformers_image_classifier(zoo: Path) -> None:
    from transformers import ResNetForImageClassification

    ref = described(zoo, "transformers", path="resnet")
    theirs = ResNetForImageClassification.from_pretrained(zoo / "resnet").eval()
    inputs = torch.rand(3, 1, 8, 8)
    loaded = models.load(ref, zoo)
    assert (ref.architecture, ref.modality, ref.trust) == ("ResNetForImageClassification", "image", "data")
    assert (ref.outputs, ref.classes[7], ref.assumptions) == (10, "7", ())
    assert ref.parameters == sum(parameter.numel() for parameter in theirs.parameters())
    assert torch.equal(loaded.logits(inputs), theirs(inputs).logits)
    assert not loaded.module.training and loaded.layers()[0] == "resnet"


def test_transformers_text_classifier(zoo: Path) -> None:
    ref = described(zoo, "transformers", path="bert", labels=["negative", "positive"])
    loaded = models.load(ref, zoo)
    encoder = encoder_of(ref, zoo)
    assert isinstance(encoder, Texts)
    inputs = encoder.encode(["a good film", "bad"])
    leaf, fed = loaded.gradient_inputs(inputs)
    logits = loaded.logits(fed)
    assert (ref.modality, ref.classes, ref.preprocess["max_length"]) == ("text", ("negative", "positive"), 16)
    torch.testing.assert_close(logits, loaded.logits(inputs))
    assert torch.autograd.grad(logits.sum(), leaf)[0].abs().sum() > 0
    assert loaded.module.config._attn_implementation == "eager"  # type: ignore[union-attr]
    assert encoder.tokens("a films") == ("[CLS]", "a", "film", "##s", "[SEP]")
    assert encoder.truncated(["good " * 20, "bad"]) == 1


def test_other_weights_and_shards(zoo: Path, folder: Path) -> None:
    from transformers import ResNetForImageClassification

    net = ResNetForImageClassification.from_pretrained(folder / "net")
    torch.nn.init.zeros_(net.classifier[1].bias)
    net.save_pretrained(folder / "sharded", max_shard_size="8KB")
    shutil.copy(folder / "net" / "preprocessor_config.json", folder / "sharded")
    ref = described(folder, "transformers", path="sharded")
    assert sum(file.path.endswith(".safetensors") for file in ref.files) > 1
    assert models.load(ref, folder).module.state_dict()["classifier.1.bias"].abs().sum() == 0
    net.save_pretrained(folder / "other")
    ref = described(folder, "transformers", path="net", weights="other/model.safetensors")
    assert models.load(ref, folder).module.state_dict()["classifier.1.bias"].abs().sum() == 0


def test_a_missing_image_processor_is_assumed_and_said(folder: Path) -> None:
    (folder / "net" / "preprocessor_config.json").unlink()
    ref = described(folder, "transformers", path="net", transforms={"resize": 8})
    assert "mean (0.5,)" in ref.assumptions[0] and "resize" not in ref.assumptions[0]


@pytest.mark.parametrize("key", ["auto_map", "trust_remote_code", "_attn_implementation_internal"])
def test_remote_code_is_refused(key: str, folder: Path) -> None:
    edit_json(folder / "net" / "config.json", **{key: {"AutoModel": "evil.Model"}})
    with pytest.raises(RefusedError, match=key):
        described(folder, "transformers", path="net")


def test_other_tasks_hub_ids_and_pickled_weights_end_in_a_clear_error(folder: Path) -> None:
    with pytest.raises(SourceError, match="hub id: not in this version"):
        described(folder, "transformers", path="google/vit-base-patch16-224")
    edit_json(folder / "net" / "config.json", architectures=["DetrForObjectDetection"])
    with pytest.raises(SourceError, match="found DetrForObjectDetection"):
        described(folder, "transformers", path="net")
    edit_json(folder / "net" / "config.json", architectures=["ResNetForImageClassification"])
    (folder / "net" / "model.safetensors").rename(folder / "net" / "pytorch_model.bin")
    with pytest.raises(SourceError, match=r"only pytorch_model\.bin"):
        described(folder, "transformers", path="net")
    (folder / "net" / "config.json").write_text("{")
    with pytest.raises(SourceError, match="is not JSON"):
        described(folder, "transformers", path="net")


def test_weights_of_another_head_are_refused(folder: Path) -> None:
    edit_json(folder / "net" / "config.json", id2label={"0": "a", "1": "b"})
    with pytest.raises(SourceError, match="10 outputs, but 2 labels"):
        described(folder, "transformers", path="net")


def test_bytes_that_changed_since_describe_are_refused(folder: Path) -> None:
    ref = described(folder, "transformers", path="net")
    path = folder / "net" / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(SourceError, match="changed since"):
        models.load(ref, folder)


def test_a_declared_digest_must_be_the_files(zoo: Path) -> None:
    right = described(zoo, "transformers", path="resnet").files[0].sha256
    described(zoo, "transformers", path="resnet", sha256=right)
    with pytest.raises(SourceError, match="expected sha256 00") as caught:
        described(zoo, "transformers", path="resnet", sha256="00" * 32)
    assert caught.value.where == ("models", "m", "sha256")


def test_paths_stay_inside_the_root(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (folder / "net" / "model.safetensors").rename(outside / "w.safetensors")
    (folder / "net" / "model.safetensors").symlink_to(outside / "w.safetensors")
    with pytest.raises(RefusedError, match="--root"):
        described(folder, "transformers", path="net")
    with pytest.raises(RefusedError, match="leads out"):
        described(folder, "torchvision", arch="resnet18", weights="net/../../w.pt")
    with pytest.raises(SourceError, match=r"no such file: net/w\.pt"):
        described(folder, "torchvision", arch="resnet18", weights="net/w.pt")


@pytest.mark.parametrize(("weights", "trust"), [("r18.safetensors", "data"), ("r18.pt", "restricted")])
def test_torchvision(weights: str, trust: str, zoo: Path) -> None:
    import torchvision
    from safetensors.torch import load_file

    ref = described(zoo, "torchvision", arch="resnet18", weights=weights, classes=list("abcde"))
    net = torchvision.models.resnet18(num_classes=5)
    net.load_state_dict(load_file(zoo / "r18.safetensors"))
    inputs = torch.rand(2, 3, 64, 64)
    assert (ref.trust, ref.outputs, ref.parameters) == (trust, 5, sum(p.numel() for p in net.parameters()))
    assert torch.equal(models.load(ref, zoo).logits(inputs), net.eval()(inputs))
    assert "input steps assumed" in ref.assumptions[0]


def test_torchvision_names_are_those_of_the_package() -> None:
    from torchvision.models import list_models

    classifiers = set(torchvision_source.names())
    assert {"resnet18", "vit_b_16", "efficientnet_b0"} <= classifiers <= set(list_models())


def test_torchvision_errors(zoo: Path) -> None:
    with pytest.raises(SourceError, match="did you mean resnet18"):
        described(zoo, "torchvision", arch="resnet81", weights="r18.pt")
    with pytest.raises(SourceError, match="expected 5 names"):
        described(zoo, "torchvision", arch="resnet18", weights="r18.pt", classes=["a"])
    ref = described(zoo, "torchvision", arch="resnet34", weights="r18.pt")
    with pytest.raises(SourceError, match=r"does not fit resnet34: missing: layer1\.2\.bn1"):
        models.load(ref, zoo)


def test_factory_is_described_without_importing_it(zoo: Path) -> None:
    ref = described(
        zoo, "factory", factory="torchvision.models:resnet18", kwargs={"num_classes": 5}, weights="r18.safetensors",
        modality="image", classes=list("abcde"), transforms={"resize": 64, "crop": 64},
    )  # fmt: skip
    assert (ref.trust, ref.outputs) == ("code", 5)
    assert models.load(ref, zoo).logits(torch.rand(1, 3, 64, 64)).shape == (1, 5)


def test_factory_errors(zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netz.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    with pytest.raises(SourceError, match="no installed package 'netz'"):
        described(tmp_path, "factory", factory="netz:Net", modality="image", classes=["a"])
    with pytest.raises(SourceError, match="size of the head"):
        described(zoo, "factory", factory="torchvision.models:resnet18", modality="image")
    with pytest.raises(RefusedError, match="leads out"):
        described(zoo, "factory", factory="json:loads", weights="package:sklearn/../x", modality="image")
    ref = described(zoo, "factory", factory="json:loads", kwargs={"s": "1"}, modality="tabular", classes=["a", "b"])
    with pytest.raises(SourceError, match=r"to return a torch\.nn\.Module, found int"):
        models.load(ref, zoo)
    ref = described(zoo, "factory", factory="json:loads", modality="tabular", classes=["a", "b"])
    with pytest.raises(SourceError, match="raised TypeError"):
        models.load(ref, zoo)


def test_checkpoints_are_ordered_by_step(zoo: Path, tmp_path: Path) -> None:
    shutil.copytree(zoo / "resnet", tmp_path / "net")
    for step in (100, 20, 3):
        (tmp_path / "ckpt").mkdir(exist_ok=True)
        shutil.copy(zoo / "resnet" / "model.safetensors", tmp_path / "ckpt" / f"step-{step}.safetensors")
    ref = models.describe(entry("transformers", "ckpt/*.safetensors", path="net"), tmp_path)
    assert ref.history is not None and ref.history.steps == (3, 20, 100)
    assert ref.history.files[0].path == "ckpt/step-3.safetensors"
    assert ref.digest != models.describe(entry("transformers", path="net"), tmp_path).digest
    with pytest.raises(SourceError, match="at least 2 checkpoints, found 0"):
        models.describe(entry("transformers", "none/*.safetensors", path="net"), tmp_path)


def test_digests_cover_what_changes_the_numbers_and_not_the_name(zoo: Path) -> None:
    base = described(zoo, "torchvision", arch="resnet18", weights="r18.safetensors")
    other = described(zoo, "torchvision", arch="resnet18", weights="r18.safetensors", transforms={"mean": [0, 0, 0]})
    named = models.describe(entry("torchvision", arch="resnet18", weights="r18.safetensors"), zoo)
    assert base.digest != other.digest
    assert base.digest == named.model_copy(update={"name": "x"}).digest
    assert ModelRef.model_validate_json(base.model_dump_json()) == base


def test_absolute_paths_of_an_allowed_root_and_names_of_the_environment(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO", str(zoo))
    for path in (str(zoo / "resnet"), "${env:ZOO}/resnet"):
        ref = described(tmp_path, "transformers", path=path)
        assert models.load(ref, tmp_path).logits(torch.rand(1, 1, 8, 8)).shape == (1, 10)
        assert "ZOO" in path or ref.files[0].path == f"{path}/model.safetensors"


def test_input_steps_that_cannot_be_done_are_told_unless_the_spec_gives_its_own(folder: Path) -> None:
    edit_json(folder / "net" / "preprocessor_config.json", do_flip_channel_order=True)
    with pytest.raises(SourceError, match="do_flip_channel_order of the image processor is not applied"):
        described(folder, "transformers", path="net")
    ref = described(folder, "transformers", path="net", transforms={"resize": 8})
    assert "do_flip_channel_order of the image processor is not applied" in ref.assumptions


def test_the_code_of_a_factory_is_in_its_digest_and_checked_at_load(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "ownnet"
    package.mkdir()
    (package / "__init__.py").write_text("from torch.nn import Linear\ndef net(): return Linear(2, 2)\n")
    (package / "layers.py").write_text("SLOPE = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = described(zoo, "factory", factory="ownnet:net", modality="tabular", classes=["a", "b"])
    models.load(before, zoo)
    (package / "layers.py").write_text("SLOPE = 2\n")
    after = described(zoo, "factory", factory="ownnet:net", modality="tabular", classes=["a", "b"])
    assert before.digest != after.digest
    with pytest.raises(SourceError, match="package:ownnet changed since"):
        models.load(before, zoo)


@pytest.mark.parametrize("factory", ["__main__:net", "sys:exit"])
def test_a_factory_needs_a_module_with_a_file(zoo: Path, factory: str) -> None:
    with pytest.raises(SourceError, match=r"no installed package|part of Python itself"):
        described(zoo, "factory", factory=factory, modality="tabular", classes=["a", "b"])
