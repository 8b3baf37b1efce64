"""Histories on disk: every form of checkpoint is read by the model's names; what is unsound is said in words."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from auditor.artifacts.buffers import Buffers
from auditor.artifacts.recorded import HistoryTrajectory
from auditor.artifacts.stages import stages_of
from auditor.artifacts.trajectory import Trajectory
from auditor.errors import AuditorError, NotApplicable, RefusedError, SourceError
from auditor.sources.digest import file_ref, seal_model
from auditor.sources.models.histories import with_history
from auditor.sources.models.tensors import names_in, open_tensors
from auditor.spec.model import ModelEntry
from auditor.subject import ModelRef, Runtime, Subject

STATE = {"bert.encoder.weight": torch.arange(12.0).view(3, 4), "bert.encoder.bias": torch.zeros(3),
         "head.weight": torch.ones(2, 3)}  # fmt: skip


def moved(step: int) -> dict[str, torch.Tensor]:
    return {name: value + step for name, value in STATE.items()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    save_file(moved(3), tmp_path / "model.safetensors")
    return tmp_path


def described(root: Path, pattern: str) -> ModelRef:
    file = file_ref(root / "model.safetensors", "model.safetensors")
    bare = ModelRef(
        digest="", name="m", source="factory", entry={}, architecture="m", modality="text", files=(file,)
    )  # fmt: skip
    return with_history(bare, ModelEntry(name="m", source="factory", checkpoints=pattern), root)


def trajectory(root: Path, pattern: str) -> Trajectory:
    need = HistoryTrajectory(described(root, pattern), Runtime())
    history: Any = need.needs()["history"]
    return need.build(history=history.load(root), buffers=Buffers({}))  # no module belongs to these made-up tensors


def plain(root: Path) -> str:
    for step in (1, 2, 3):
        save_file(moved(step), root / f"step-{step}.safetensors")
    return "step-*.safetensors"


def wrapped(root: Path) -> str:
    for step in (1, 2, 3):
        state = {f"module._orig_mod.{name}": value for name, value in moved(step).items()}
        torch.save({"model_state_dict": state, "epoch": step}, root / f"step-{step}.pt")
    return "step-*.pt"


def old(root: Path) -> str:
    for step in (1, 2, 3):
        torch.save(moved(step), root / f"{step}.bin", _use_new_zipfile_serialization=False)
    return "*.bin"


def folders(root: Path) -> str:
    for step in (1, 2, 3):
        (root / f"out/checkpoint-{step}").mkdir(parents=True)
        save_file(moved(step), root / f"out/checkpoint-{step}/model.safetensors")
        (root / f"out/checkpoint-{step}/optimizer.pt").write_bytes(b"not read")
    return "out/checkpoint-*"


def sharded(root: Path) -> str:
    for step in (1, 2, 3):
        folder = root / f"out/checkpoint-{step}"
        folder.mkdir(parents=True)
        names = list(STATE)
        table = {name: f"model-{place + 1}-of-2.safetensors" for place, name in enumerate(names[:2])}
        table[names[2]] = "model-2-of-2.safetensors"
        for part in set(table.values()):
            save_file({n: v for n, v in moved(step).items() if table[n] == part}, folder / part)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    return "out/checkpoint-*"


def binary(root: Path) -> str:
    for step in (1, 2, 3):
        (root / f"out/checkpoint-{step}").mkdir(parents=True)
        torch.save(moved(step), root / f"out/checkpoint-{step}/pytorch_model.bin")
    return "out/checkpoint-*"


FORMS = {form.__name__: form for form in (plain, wrapped, old, folders, sharded, binary)}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_changes_by_the_models_names(root: Path, form: str) -> None:
    pattern = FORMS[form](root)
    found = trajectory(root, pattern)
    changes = found.changes[0]
    assert changes.tensors == tuple(sorted(STATE))
    assert changes.change[:, 0] == pytest.approx(3**0.5)  # the bias: three elements, each moved by 1
    assert changes.change[:, 1] == pytest.approx(12**0.5)
    assert (found.source, found.appeared, found.vanished) == ("checkpoints", (), ())
    ref = described(root, pattern)
    assert ref.history is not None and ref.history.steps == (1, 2, 3)
    assert ref.trust == ("restricted" if form in ("wrapped", "old", "binary") else "data")
    assert len(ref.history.at(2)) == (2 if form == "sharded" else 1)


def test_the_digest_covers_bytes_and_steps_of_all_shards(root: Path) -> None:
    pattern = sharded(root)
    before = described(root, pattern)
    path = root / "out/checkpoint-2/model-2-of-2.safetensors"
    save_file({"bert.encoder.bias": torch.ones(3), "head.weight": torch.zeros(2, 3)}, path)
    after = described(root, pattern)
    assert before.digest != after.digest
    assert before.history is not None
    other = before.history.model_copy(update={"shards": (1, 2, 3)})
    assert seal_model(before.model_copy(update={"history": other})).digest != before.digest
    with pytest.raises(SourceError, match="changed since the audit described it"):
        open_tensors(root, before.history.at(2), ("here",))


def test_adapters_are_followed_and_are_no_stages(root: Path) -> None:
    for step in (10, 20, 30):
        (root / f"out/checkpoint-{step}").mkdir(parents=True)
        state = {"base_model.model.bert.q.lora_A.weight": torch.full((2, 4), 1.0 + step),
                 "base_model.model.bert.q.lora_B.weight": torch.full((4, 2), float(step))}  # fmt: skip
        save_file(state, root / f"out/checkpoint-{step}/adapter_model.safetensors")
    ref = described(root, "out/checkpoint-*")
    assert ref.history is not None and ref.history.adapters and ref.history.holds == {"changes"}
    changes = trajectory(root, "out/checkpoint-*").changes[0]
    assert changes.tensors == ("bert.q.lora_A.weight", "bert.q.lora_B.weight")
    with pytest.raises(NotApplicable, match="adapters alone, which are no whole model; merge each"):
        stages_of(Subject(model=ref))


def test_get_and_all_read_what_was_stored(root: Path) -> None:
    for pattern in (sharded(root), wrapped(root)):
        ref = described(root, pattern)
        assert ref.history is not None
        held = open_tensors(root, ref.history.at(2), ("here",), STATE)
        assert set(held.all()) == set(STATE)
        assert torch.equal(held.get("head.weight"), moved(2)["head.weight"])
        parts = held.read([("head.weight", 1, 4), ("bert.encoder.weight", 0, 2)])
        assert [part.tolist() for part in parts] == [[3.0] * 3, [2.0, 3.0]]
        with pytest.raises(KeyError):
            held.get("nothing")


@pytest.mark.parametrize(
    ("stored", "own", "wanted"),
    [
        (["a.w", "b.w"], ["a.w", "b.w"], ["a.w", "b.w"]),
        (["module.a.w", "module.b.w"], ["a.w", "b.w"], ["a.w", "b.w"]),
        (["module.model.a.w"], ["model.a.w", "head.w"], ["model.a.w"]),  # a model whose own part is called model
        (["a._orig_mod.w", "b._fsdp_wrapped_module.w"], ["a.w", "b.w"], ["a.w", "b.w"]),
        (["encoder.w"], ["bert.encoder.w", "head.w"], ["bert.encoder.w"]),  # saved without its head
        (["base_model.model.q.lora_A.weight"], ["q.weight"], ["q.lora_A.weight"]),
        (["base_model.model.model.q.lora_A.weight"], ["model.q.weight", "head.w"], ["model.q.lora_A.weight"]),
        (["base_model.model.q.lora_A.weight"], [], ["q.lora_A.weight"]),
        ([], ["a"], []),
    ],
)
def test_names_are_brought_to_the_models(stored: list[str], own: list[str], wanted: list[str]) -> None:
    assert list(names_in(stored, own).values()) == wanted


def _nothing(root: Path) -> str:
    return "step-*.safetensors"


def _single(root: Path) -> str:
    save_file(STATE, root / "step-1.safetensors")
    return "step-*.safetensors"


def _twice(root: Path) -> str:
    for name in ("a-1", "b-01"):
        save_file(STATE, root / f"{name}.safetensors")
    return "?-*.safetensors"


def _unnumbered(root: Path) -> str:
    (root / "x").mkdir()
    for name in ("best", "last"):
        save_file(STATE, root / f"x/{name}.safetensors")
    return "x/*.safetensors"


def _empty_folder(root: Path) -> str:
    pattern = folders(root)
    (root / "out/checkpoint-2/model.safetensors").unlink()
    return pattern


def _lost_shard(root: Path) -> str:
    pattern = sharded(root)
    (root / "out/checkpoint-2/model-2-of-2.safetensors").unlink()
    return pattern


def _corrupt(root: Path) -> str:
    pattern = plain(root)
    (root / "step-2.safetensors").write_bytes(b"\xff" * 64)
    return pattern


def _mixed(root: Path) -> str:
    plain(root)
    torch.save(moved(4), root / "step-4.pt")
    return "step-*"


class Foreign:
    """Something that a state dict does not hold."""


def _foreign(root: Path) -> str:
    wrapped(root)
    torch.save({"w": torch.ones(2), "config": Foreign()}, root / "step-2.pt")
    return "step-*.pt"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_nothing, r"expected at least 2 checkpoints, found 0 that match 'step-\*\.safetensors'"),
        (_single, "expected at least 2 checkpoints, found 1"),
        (_twice, r"a-1\.safetensors and b-01\.safetensors both say step 1"),
        (_unnumbered, r"no step number in the name x/best\.safetensors"),
        (_empty_folder, "the folder out/checkpoint-2 holds no weights: none of model.safetensors,"),
        (_lost_shard, "checkpoint-2/model.safetensors.index.json names model-2-of-2.safetensors, which is not there"),
        (_corrupt, r"step-2\.safetensors is not a sound safetensors file"),
        (_mixed, "expected checkpoints of one kind, found step-1.safetensors among safetensors files and step-4.pt"),
        (_foreign, r"expected a state dict, found a pickle that needs \S*test_histories\.Foreign"),
    ],
)
def test_what_is_wrong_is_said(root: Path, make: Any, message: str) -> None:
    pattern = make(root)
    with pytest.raises(AuditorError, match=message) as caught:
        described(root, pattern)
    assert "models.m.history.checkpoints" in str(caught.value)


def test_a_link_out_of_the_root_is_refused(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    pattern = folders(root)
    other = tmp_path_factory.mktemp("elsewhere") / "model.safetensors"
    save_file(moved(2), other)
    (root / "out/checkpoint-2/model.safetensors").unlink()
    (root / "out/checkpoint-2/model.safetensors").symlink_to(other)
    with pytest.raises(RefusedError, match="leads out of the audit's root"):
        described(root, pattern)


def test_checkpoints_of_two_models_have_nothing_in_common(root: Path) -> None:
    save_file({"a": torch.ones(2)}, root / "step-1.safetensors")
    save_file({"b": torch.ones(2)}, root / "step-2.safetensors")
    with pytest.raises(SourceError, match="no parameter in common"):
        trajectory(root, "step-*.safetensors")


def test_describing_and_planning_import_no_torch(root: Path) -> None:
    import subprocess
    import sys

    from torch import nn
    from torch.utils.tensorboard import SummaryWriter

    import auditor

    net = nn.ModuleDict({"bert": nn.ModuleDict({"encoder": nn.Linear(4, 3)}), "head": nn.Linear(3, 2, bias=False)})
    with auditor.record(net, None, root / "train.trace", every=1) as recorder:
        recorder.step(loss=1.0)
    with SummaryWriter(str(root / "runs")) as writer:
        writer.add_scalar("loss", 1.0, 1)
    wrapped(root)
    program = """
import sys
from pathlib import Path
from auditor.artifacts.trajectory import trajectories_of
from auditor.sources.digest import file_ref
from auditor.sources.models.histories import with_history
from auditor.spec.model import ModelEntry
from auditor.subject import ModelRef, Subject
root = Path(sys.argv[1])
bare = ModelRef(digest="", name="m", source="factory", entry={}, architecture="m", modality="text",
                files=(file_ref(root / "model.safetensors", "model.safetensors"),))
for history in ({"trace": "train.trace"}, {"tensorboard": "runs"}, {"checkpoints": "step-*.pt"}):
    ref = with_history(bare, ModelEntry(name="m", source="factory", **history), root)
    trajectories_of(Subject(model=ref)).key
print(sorted({"torch", "tensorflow", "matplotlib"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program, str(root)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_card_says_the_history_in_words(root: Path) -> None:
    from auditor.report.cards import model_card

    ref = described(root, plain(root)).model_copy(update={"entry": {"derived_from": "base"}})
    facts = dict(model_card(ref).facts)
    assert facts["History"] == "3 checkpoints, steps 1 to 3"
    assert facts["Said to come from"] == "base"
