"""interpretability.drift: the same model, a light fine-tune, a model drawn anew; other heads, tokens and blocks."""

from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from tiny import save_all
from tiny_transformers import bert, learned, made, perceptron, pictures, saved_pictures, saved_texts, texts, vit

from auditor.artifacts.attributions import Attributions
from auditor.artifacts.drift import Drift as Found
from auditor.artifacts.drift import DriftNeed
from auditor.artifacts.drifted import before_and_after
from auditor.artifacts.explained import Explained
from auditor.blocks import Bars, Images, Lines, TokenMap
from auditor.checks.interpretability.drift import Drift
from auditor.errors import UsageError
from auditor.evidence import Counts, Evidence, Measurement
from auditor.execute.codec import decode, encode
from auditor.methods.attribution.asked import gradient
from auditor.methods.attribution.method import Context
from auditor.methods.similarity.layers import blocks_of, features_of
from auditor.methods.similarity.nudge import nudged
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject

ROWS = 256


def again(module: Any, seed: int = 7) -> Any:
    """The same architecture, weights drawn anew."""
    torch.manual_seed(seed)
    return type(module)(module.config)


def tuned(module: Any, inputs: Any, targets: Any, steps: int) -> Any:
    """A copy, trained a few steps further on other examples."""
    copy = again(module)
    copy.load_state_dict(module.state_dict())
    return learned(copy, inputs, targets, steps=steps, lr=1e-3).module


@pytest.fixture(scope="module")
def seers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Subject]]:
    """A model of pictures, itself again, a light fine-tune of it, and one drawn anew; by name."""
    root = tmp_path_factory.mktemp("seers")
    first = learned(vit(), *pictures()).module
    others = {"first": first, "same": first, "tuned": tuned(first, *pictures(seed=5), steps=8), "anew": again(first)}
    return root, {name: saved_pictures(root, module, name, ROWS) for name, module in others.items()}


def audited(root: Path, subject: Subject, *others: Subject, **fields: Any) -> Evidence:
    check = Drift(**fields)
    asked = subject.model_copy(update={"against": tuple(other.model for other in others)})
    assert check.applies(asked) is None
    needs = check.needs(asked)
    found = {name: made(need, root) for name, need in needs.items()}
    back = {name: decode(*encode(value), needs[name].artifact) for name, value in found.items()}
    assert list(found) == [name for name in signature(check.measure).parameters]
    evidence = check.measure(**found)
    assert evidence == check.measure(**back)
    return evidence


def values(found: Evidence, name: str) -> dict[str, float]:
    return {each.of: each.value for each in found.measurements if each.name == name}


def get(found: Evidence, name: str) -> Measurement:
    return next(each for each in found.measurements if each.name == name)


def test_a_model_has_not_drifted_from_itself(seers: Any) -> None:
    root, subjects = seers
    found = audited(root, subjects["first"], subjects["same"], rows=48)
    assert values(found, "map_iou") == {"saliency": 1, "grad_cam": 1}
    assert values(found, "rank_correlation") == pytest.approx({"saliency": 1, "grad_cam": 1})
    cka = values(found, "cka")
    assert list(cka) == ["vit.layers.0", "vit.layers.1"] and list(cka.values()) == pytest.approx([1, 1])
    assert get(found, "flipped_share").distribution == Counts(k=0, n=ROWS)
    assert all(value <= 0 for value in values(found, "map_iou_loss").values())
    assert values(found, "map_iou_flipped") == {}


def test_a_light_fine_tune_lies_between_itself_and_a_model_drawn_anew(seers: Any) -> None:
    root, subjects = seers
    light = audited(root, subjects["first"], subjects["tuned"], rows=48)
    anew = audited(root, subjects["first"], subjects["anew"], rows=48)
    for name in ("map_iou", "rank_correlation"):
        for method in ("saliency", "grad_cam"):
            assert 1 > values(light, name)[method] > values(anew, name)[method]
    assert abs(values(anew, "rank_correlation")["saliency"]) < 0.3, "unrelated gradients agree as by chance"
    assert values(anew, "map_iou_loss")["saliency"] > 0.2
    assert values(light, "cka")["vit.layers.1"] > values(anew, "cka")["vit.layers.1"]
    assert get(anew, "flipped_share").value > 0.2 > get(light, "flipped_share").value
    assert values(anew, "map_iou_flipped").keys() == {"saliency", "grad_cam"}
    assert min(values(light, "cka_floor").values()) > 0.99
    assert min(values(light, "map_iou_floor").values()) > 0.6


def test_the_page_lays_maps_floor_and_blocks_side_by_side(seers: Any) -> None:
    root, subjects = seers
    found = audited(root, subjects["first"], subjects["tuned"], rows=32)
    bars, pictures_, _, blocks = found.blocks
    assert isinstance(bars, Bars) and isinstance(pictures_, Images) and isinstance(blocks, Lines)
    assert {bar.label for bar in bars.bars} >= {"saliency, kept", "saliency, noise", "grad cam, kept"}
    assert [row.label for row in pictures_.rows] == ["as the model saw it", "before: tuned", "after"]
    assert sum(len(row.pictures) for row in pictures_.rows) == 12
    assert len(blocks.lines) == 2 and blocks.lines[0].x == (1, 2)
    assert len(found.samples["flipped_share"]) == len(found.examples) == ROWS


def test_several_models_are_told_apart(seers: Any) -> None:
    root, subjects = seers
    found = audited(root, subjects["first"], subjects["same"], subjects["anew"], rows=8)
    assert list(values(found, "flipped_share")) == ["same", "anew"]
    iou = values(found, "map_iou")
    assert iou["saliency, same"] == 1 > iou["saliency, anew"]


def test_texts_are_compared_token_by_token(tmp_path: Path) -> None:
    first = learned(bert(), *texts()).module
    subject = saved_texts(tmp_path, first, "first")
    other = saved_texts(tmp_path, tuned(first, *texts(seed=5), steps=8), "tuned")
    found = audited(tmp_path, subject, other)
    assert values(found, "map_iou").keys() == {"saliency", "input_x_gradient"}
    assert all(0.2 < value < 1 for value in values(found, "map_iou").values())
    assert all(values(found, "rank_correlation_floor")[key] > 0.9 for key in ("saliency", "input_x_gradient"))
    shown = found.blocks[2]
    assert isinstance(shown, TokenMap) and shown.signed and shown.texts[0].label.startswith("before: ")
    assert not values(found, "cka") and any("256 examples, found 64" in note for note in found.notes)


def test_another_head_explains_its_own_prediction_and_flips_nothing(seers: Any, tmp_path: Path) -> None:
    root, subjects = seers
    parent = saved_pictures(root, vit(num_labels=5), "parent", ROWS)
    found = audited(root, subjects["first"], parent, rows=8, target="label")
    assert values(found, "map_iou").keys() == {"saliency", "grad_cam"} and not values(found, "flipped_share")
    assert any("another head (5 outputs" in note for note in found.notes)
    assert values(found, "cka").keys() == {"vit.layers.0", "vit.layers.1"}


def test_where_it_applies(seers: Any) -> None:
    _, subjects = seers
    first, other = subjects["first"], subjects["tuned"].model
    assert "against" in str(Drift().applies(first))
    beside = first.model_copy(update={"against": (other,)})
    assert Drift().applies(beside) is None
    assert "one method" in str(Drift(methods=("saliency",)).applies(beside))
    text = first.model_copy(update={"against": (other.model_copy(update={"modality": "text"}),)})
    assert "takes text inputs" in str(Drift().applies(text))
    assert "data" in str(Drift().applies(beside.model_copy(update={"data": None})))
    assert "class:7" in str(Drift(target="class:7").applies(beside))


def maps(rows: np.ndarray, **more: Any) -> Attributions:
    n = len(rows)
    index = np.zeros(n, dtype=np.int64)
    explained = Explained(index, index, index, np.ones(n, np.float32), tuple(map(str, range(n))), classes=("a", "b"))
    return Attributions(rows.astype(np.float32), np.full(n, rows[0].size), replace(explained, **more))


def compared(own: Attributions, other: Attributions, top: float = 0.5) -> Found:
    need = DriftNeed("saliency", None, None, None, top)  # type: ignore[arg-type]  # build() alone is asked
    return need.build(own=own, other=other, nudged=own)


def test_maps_of_other_places_or_examples_are_not_compared() -> None:
    table = np.random.default_rng(0).normal(size=(5, 4))
    assert compared(maps(table), maps(table)).moved.iou.tolist() == [1] * 5
    assert "tokens" in compared(maps(table), maps(table[:, :3])).moved.why
    other = maps(table, examples=tuple("edcba"))
    assert "same examples" in compared(maps(table), other).moved.why
    flat = table.copy()
    flat[2] = 0
    found = compared(maps(table), maps(flat)).moved
    assert np.isnan(found.iou).tolist() == [False, False, True, False, False]


def test_columns_are_shown_before_and_after() -> None:
    table = np.array([[4.0, 2.0, 0.0]] * 5)
    found = before_and_after(compared(maps(table), maps(table[:, ::-1].copy())), "parent")
    assert isinstance(found, Bars)
    assert [(bar.label, bar.value) for bar in found.bars[:2]] == [("column 1, before", 0), ("column 1, after", 1)]


def test_blocks_are_stages_and_a_glob_chooses_layers() -> None:
    from torchvision.models import resnet18, vit_b_32

    net = resnet18(num_classes=3)
    assert blocks_of(net) == tuple(f"layer{stage}.{block}" for stage in range(1, 5) for block in range(2))
    with torch.device("meta"):
        names = blocks_of(vit_b_32())
    assert len(names) == 8 and names[-1] == "heads.head" and names[-2].startswith("encoder.layers.")
    assert blocks_of(net, ("layer*.0.conv1",)) == tuple(f"layer{stage}.0.conv1" for stage in range(1, 5))
    with pytest.raises(UsageError, match="no layer of the model matches"):
        blocks_of(net, ("block*",))


def test_features_are_means_over_places_and_over_tokens_but_padding() -> None:
    from tiny_transformers import loaded

    model, (inputs, _) = loaded(bert()), texts(6)
    found = features_of(model, inputs, blocks_of(model.module))
    assert list(found) == ["bert.encoder.layer.0", "bert.encoder.layer.1"]
    with torch.no_grad():
        states = model.module.bert(**inputs).last_hidden_state
    own = inputs["attention_mask"].bool()
    wanted = torch.stack([states[row, own[row]].mean(0) for row in range(6)])
    torch.testing.assert_close(found["bert.encoder.layer.1"], wanted)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(588, 2))
    seen = features_of(loaded(net, "image"), pictures(4)[0], ("0", "3"))
    torch.testing.assert_close(seen["0"], net[0](pictures(4)[0]).mean((2, 3)))
    assert seen["3"].shape == (4, 2) and not any(part._forward_hooks for part in net)


def test_the_nudge_is_one_percent_of_each_examples_spread() -> None:
    from tiny_transformers import loaded

    rows = torch.randn(3, 4000) * torch.tensor([1.0, 10.0, 100.0])[:, None]
    model = loaded(torch.nn.Linear(4000, 2), "tabular")
    moved = nudged(model, rows, 0.01, Context(seed=3))
    assert torch.equal(moved, nudged(model, rows, 0.01, Context(seed=3))) and not torch.equal(
        moved, nudged(model, rows, 0.01, Context(seed=4))
    )
    torch.testing.assert_close((moved - rows).std(1), torch.tensor([0.01, 0.1, 1.0]), rtol=0.1, atol=0)
    reader, (inputs, targets) = loaded(bert()), texts(6)
    _, plain, _ = gradient(reader, inputs, targets)
    _, shifted, _ = gradient(reader, nudged(reader, inputs, 0.01, Context(seed=3)), targets)
    assert 0.005 < float((shifted - plain).norm() / plain.norm()) < 0.02


def test_language_models_are_compared_without_flips(tmp_path: Path) -> None:
    save_all(tmp_path)
    (tmp_path / "texts.csv").write_text("text\n" + "\n".join(["a good film", "very bad the film", "good bad a very"]))
    refs = {}
    for name in ("llama", "gpt"):
        refs[name] = models.describe(ModelEntry(name=name, source="transformers", options={"path": name}), tmp_path)
    rows = data.describe(DataEntry(name="d", source="csv", options={"path": "texts.csv", "text": "text"}), tmp_path)
    subject, other = (
        Subject(model=ref, data=labels.match(ref, rows), runtime=Runtime(batch_size=4)) for ref in refs.values()
    )
    found = audited(tmp_path, subject, other, target="token:good")
    assert values(found, "map_iou").keys() == {"saliency", "input_x_gradient"} and not values(found, "flipped_share")
    assert any("task is causal_lm" in note for note in found.notes)


def test_tables_are_compared_column_by_column(tmp_path: Path) -> None:
    rows, draw = np.random.default_rng(0).normal(size=(ROWS, 5)), torch.Generator().manual_seed(0)
    np.savez(tmp_path / "rows.npz", inputs=rows.astype(np.float32), labels=(rows[:, 1] > 0).astype(np.int64))
    subjects = []
    for name in ("before", "after"):
        net = perceptron()
        for part in net.parameters():
            part.data.normal_(generator=draw)
        safetensors.torch.save_file(net.state_dict(), tmp_path / f"{name}.safetensors")
        plain = {"factory": "tiny_transformers:perceptron", "weights": f"{name}.safetensors", "modality": "tabular",
                 "task": "classification", "classes": ["no", "yes"]}  # fmt: skip
        ref = models.describe(ModelEntry(name=name, source="factory", options=plain), tmp_path)
        entry = DataEntry(name="rows", source="tensors", options={"path": "rows.npz", "modality": "tabular"})
        found = labels.match(ref, data.describe(entry, tmp_path))
        subjects.append(Subject(model=ref, data=found, runtime=Runtime(batch_size=64)))
    found = audited(tmp_path, *subjects)
    assert values(found, "map_iou").keys() == {"saliency", "input_x_gradient"}
    assert list(values(found, "cka")) == ["0", "1", "2"]
    assert isinstance(found.blocks[1], Bars) and found.blocks[1].title == "Saliency before and after"
