"""A .pt file is outlined without running anything; modules, bombs and repeated views never reach torch.load."""

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from auditor.errors import RefusedError, SourceError
from auditor.sources.models.pickled import load_pickled, read_pickled
from auditor.sources.models.state import describe_state, prefix_of, without_prefix

WHERE = ("models", "m", "weights")


def saved(path: Path, value: Any) -> Path:
    torch.save(value, path)
    return path


def repacked(path: Path, change: Any, compression: int = zipfile.ZIP_STORED) -> Path:
    """The archive with each entry's bytes replaced by change(name, bytes)."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, change(name, content))
    return path


def test_the_outline_is_that_of_torch(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    path = saved(tmp_path / "w.pt", net.state_dict())
    nest, tensors = read_pickled(path, WHERE)
    assert nest == ""
    assert {name: shape.shape for name, shape in tensors.items()} == {
        name: tuple(tensor.shape) for name, tensor in net.state_dict().items()
    }
    assert describe_state(path, WHERE).parameters == sum(p.numel() for p in net.parameters())
    loaded = load_pickled(path.read_bytes(), WHERE)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in net.state_dict().items())


def test_wrappers_are_opened_and_said(tmp_path: Path) -> None:
    state = {f"module.model.{name}": tensor for name, tensor in torch.nn.Linear(2, 2).state_dict().items()}
    path = saved(tmp_path / "w.pt", {"epoch": 3, "state_dict": state, "lr": 0.1})
    stored = describe_state(path, WHERE)
    assert stored.nest == "state_dict" and prefix_of(stored.tensors) == "module.model."
    assert set(without_prefix(stored.tensors, "module.model.")) == {"weight", "bias"}
    assert len(stored.remarks()) == 2
    assert set(load_pickled(path.read_bytes(), WHERE)) == set(state)


def test_a_pickled_module_is_refused_with_the_lines_that_save_it_anew(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", torch.nn.Linear(2, 2))
    with pytest.raises(SourceError) as caught:
        describe_state(path, WHERE)
    assert "torch.nn.modules.linear.Linear" in str(caught.value)
    assert "save_file(torch.load('w.pt', weights_only=False).state_dict()" in str(caught.value)


class Shell:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/never",)


def test_code_in_a_pickle_never_runs(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"a": torch.zeros(2)})
    evil = pickle.dumps(OrderedDict(a=Shell()))
    repacked(path, lambda name, content: evil if name.endswith("data.pkl") else content)
    with pytest.raises(SourceError, match=r"needs posix\.system"):
        describe_state(path, WHERE)


def test_a_repeated_view_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"a": torch.zeros(1).expand(1 << 20, 1 << 20)})
    assert path.stat().st_size < 5000
    with pytest.raises(RefusedError, match=r"claims 1099511627776 elements of a storage of 1 "):
        describe_state(path, WHERE)


def test_a_storage_larger_than_the_file_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"a": torch.zeros(64)})
    repacked(path, lambda name, content: content[:16] if name.endswith("data/0") else content)
    with pytest.raises(RefusedError, match="more than the file holds"):
        describe_state(path, WHERE)


def test_a_compression_bomb_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"a": torch.zeros(1 << 20)})
    repacked(path, lambda name, content: content, zipfile.ZIP_DEFLATED)
    with pytest.raises(RefusedError, match="would inflate to"):
        describe_state(path, WHERE)


@pytest.mark.parametrize("content", [b"garbage", b"\x80\x02}q\x00.", b"\x80\x02K\x01.", b"\x80\x02]q\x00h\x05.", b""])
def test_malformed_pickles_end_in_a_clear_error(content: bytes, tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", {"a": torch.zeros(2)})
    repacked(path, lambda name, old: content if name.endswith("data.pkl") else old)
    with pytest.raises((SourceError, RefusedError), match=r"w\.pt"):
        describe_state(path, WHERE)


def test_torchscript_is_told_by_content(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/code/__torch__.py", "")
        archive.writestr("net/constants.pkl", b"")
        archive.writestr("net/data.pkl", b"")
    with pytest.raises(SourceError, match="TorchScript"):
        describe_state(path, WHERE)


def old_format(path: Path, value: Any) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=False)
    return path


def test_the_format_before_torch_1_6(tmp_path: Path) -> None:
    state = torch.nn.Linear(3, 2).state_dict()
    path = old_format(tmp_path / "w.pth", {"state_dict": state})
    stored = describe_state(path, WHERE)
    assert {name: shape.shape for name, shape in stored.tensors.items()} == {"weight": (2, 3), "bias": (2,)}
    assert torch.equal(load_pickled(path.read_bytes(), WHERE)["weight"], state["weight"])
    with pytest.raises(SourceError, match=r"needs torch\.nn"):
        describe_state(old_format(path, torch.nn.Linear(2, 2)), WHERE)
    with pytest.raises(RefusedError, match="of a storage of 1 "):
        describe_state(old_format(path, {"a": torch.zeros(1).expand(1 << 20, 1 << 20)}), WHERE)
    content = old_format(path, state).read_bytes()
    for wrong in (content[:-4], content + b"more", content[:40]):
        path.write_bytes(wrong)
        with pytest.raises(RefusedError, match=r"w\.pth"):
            describe_state(path, WHERE)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(SourceError, match="neither safetensors nor a state dict"):
        describe_state(tmp_path / "w.pt", WHERE)


def test_the_force_variable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "w.pt", {"a": torch.zeros(2)})
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(RefusedError, match="unset TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        load_pickled(path.read_bytes(), WHERE)
