"""interpretability.attention on models that learned something in a second: healthy, collapsed, fused, windowed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import save_all
from tiny_transformers import bert, collapse, learned, made, pictures, saved_pictures, saved_texts, texts, vit

from auditor.artifacts.attention import Attended
from auditor.blocks import Heatmap, Images, Table, TokenMap
from auditor.checks.interpretability.attention import Attention
from auditor.errors import NotApplicable
from auditor.evidence import Enclosure, Evidence, Measurement
from auditor.execute.codec import decode, encode
from auditor.methods.attention.collapse import collapsed_layers
from auditor.sources import data, labels, models
from auditor.spec.model import DataEntry, ModelEntry
from auditor.subject import Runtime, Subject

N = 64


def audited(subject: Subject, root: Path, **fields: Any) -> tuple[Evidence, Attended]:
    check = Attention(**fields)
    assert check.applies(subject) is None
    found = made(check.needs(subject)["found"], root)
    back = decode(*encode(found), Attended)
    evidence, again = check.measure(found=found), check.measure(found=back)
    assert evidence == again
    return evidence, found


def get(evidence: Evidence, name: str, of: str | None = None) -> Measurement:
    return next(each for each in evidence.measurements if each.name == name and of in (None, each.of))


@pytest.fixture(scope="module")
def reader() -> Any:
    inputs, targets = texts()
    return learned(bert(), inputs, targets).module


@pytest.fixture(scope="module")
def seer() -> Any:
    inputs, targets = pictures()
    return learned(vit(), inputs, targets).module


def test_a_healthy_reader_has_no_collapsed_layer(reader: Any, tmp_path: Path) -> None:
    evidence, found = audited(saved_texts(tmp_path, reader), tmp_path)
    collapsed = get(evidence, "collapsed_layers")
    assert (collapsed.value, collapsed.distribution) == (0, Enclosure(low=0, high=0))
    assert {each.name for each in evidence.measurements} == {metric.name for metric in Attention.metrics}
    assert found.heads == (4, 4) and not found.causal and found.usable.all()
    assert get(evidence, "query_dependence", "layer 2").value > 0.05
    effect = get(evidence, "head_effect")
    assert effect.n == N // 2 and effect.of.startswith("layer ") and effect.value > 0.05
    assert get(evidence, "agreement_with_gradient", "gradient attention").n >= 0.9 * N


def test_the_page_shows_heads_words_and_what_was_silenced(reader: Any, tmp_path: Path) -> None:
    evidence, found = audited(saved_texts(tmp_path, reader), tmp_path, heads=3)
    kinds = {type(block): block for block in evidence.blocks}
    assert kinds[Heatmap].rows == ("1", "2") and kinds[Heatmap].columns == ("1", "2", "3", "4")  # type: ignore[union-attr]
    shown, table = kinds[TokenMap], kinds[Table]
    assert isinstance(shown, TokenMap) and isinstance(table, Table) and len(table.rows) == 3
    text = shown.texts[0]
    assert text.tokens[0] == "[CLS]" and text.scores[0] == text.scores[-1] == 0 and sum(text.scores) > 0
    best = found.silenced[int(found.effect[found.first].mean(0).argmax())]
    assert table.rows[0][0] == get(evidence, "head_effect").of == found.head(best)
    expected, fall = (float(str(cell)) for cell in table.rows[0][1:3])
    assert fall > 0 and expected > 0


def test_planted_collapse_is_caught(reader: Any, tmp_path: Path) -> None:
    broken = learned(bert(), *texts(), steps=1).module
    broken.load_state_dict(reader.state_dict())
    collapse(broken)
    evidence, _ = audited(saved_texts(tmp_path, broken), tmp_path)
    assert get(evidence, "collapsed_layers").distribution == Enclosure(low=2, high=2)


def test_a_seer_is_read_over_its_patches(seer: Any, tmp_path: Path) -> None:
    evidence, found = audited(saved_pictures(tmp_path, seer), tmp_path)
    assert get(evidence, "collapsed_layers").distribution == Enclosure(low=0, high=0)
    assert found.maps.shape == (2, N, 4, 4)
    assert isinstance(evidence.blocks[3], Images) and len(evidence.blocks[3].rows[0].pictures) == 6
    assert get(evidence, "agreement_with_gradient", "gradient attention").value > 0.1


def test_the_same_audit_gives_the_same_numbers(seer: Any, tmp_path: Path) -> None:
    subject = saved_pictures(tmp_path, seer)
    first, second = (audited(subject, tmp_path, rows=16)[1] for _ in range(2))
    for name in ("agreement", "effect", "query_dependence", "maps"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_models_without_visible_attention_are_skipped_with_the_reason(tmp_path: Path) -> None:
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(num_channels=1, embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], num_labels=2)
    subject = saved_pictures(tmp_path, ResNetForImageClassification(config))
    with pytest.raises(NotApplicable, match="no attention that can be seen"):
        made(Attention(rows=8).needs(subject)["found"], tmp_path)
    table = subject.model.model_copy(update={"modality": "tabular"})
    assert "columns" in str(Attention().applies(subject.model_copy(update={"model": table})))
    assert "data" in str(Attention().applies(subject.model_copy(update={"data": None})))


def test_the_interval_of_collapse_holds_layers_near_the_line() -> None:
    rng = np.random.default_rng(0)
    low, near, high = (
        mean + spread * rng.normal(size=(40, 3)) for mean, spread in ((0.01, 0.001), (0.05, 0.02), (0.3, 0.05))
    )
    one_head_alive = low.copy()
    one_head_alive[:, 0] = high[:, 0]
    found, surely, possibly = collapsed_layers([low, near, high, one_head_alive])
    assert (surely, possibly) == (1, 2) and found in (1, 2)
    assert collapsed_layers([low, high], [f"g{row // 4}" for row in range(40)])[1:] == (0, 2), "10 groups are too few"
    assert collapsed_layers([low[:29], high[:29]]) == (1, 0, 2)
    assert collapsed_layers([low[:1]])[1:] == (0, 1)


def test_groups_are_the_unit(reader: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    _, found = audited(saved_texts(tmp_path, reader), tmp_path)
    groups = tuple(f"g{row // 2}" for row in range(N))
    said = Attention().measure(found=replace(found, explained=replace(found.explained, groups=groups)))
    assert get(said, "query_dependence").unit_of_resampling == "group"


def test_short_examples_are_left_out_and_counted(seer: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    _, found = audited(saved_pictures(tmp_path, seer), tmp_path, rows=16)
    usable, agreement = np.arange(16) > 2, found.agreement.copy()
    agreement[:5, 0] = np.nan
    said = Attention().measure(found=replace(found, usable=usable, agreement=agreement))
    assert get(said, "query_dependence").n == 13 and get(said, "agreement_with_gradient", "rollout").n == 11
    assert any("3 of 16" in note for note in said.notes) and any("5 of 16" in note for note in said.notes)


def test_shifts_take_away_what_form_alone_earns() -> None:
    from auditor.methods.attention.agreement import beyond_shifts

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:7, :7]
    smooth = [np.sin(2 * np.pi * (x * a + y * b) / 7 + c) for a, b, c in rng.integers(0, 5, (40, 3))]
    smooth = [each for each in smooth if np.ptp(each) > 0]
    found = [beyond_shifts(first, second, rng) for first in smooth for second in smooth[:6] if first is not second]
    assert abs(np.mean(found)) < 0.05
    noise = rng.normal(size=(7, 7))
    assert beyond_shifts(noise, noise, rng) > 0.7
    assert np.isnan(beyond_shifts(np.ones((7, 7)), noise, rng)) and np.isnan(
        beyond_shifts(noise[0, :3], noise[1, :3], rng)
    )


def test_torch_is_left_as_it_was(seer: Any, tmp_path: Path) -> None:
    before = torch.random.get_rng_state()
    audited(saved_pictures(tmp_path, seer), tmp_path, rows=8)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny language models and encoders in folders, and texts without labels."""
    root = tmp_path_factory.mktemp("language")
    save_all(root)
    lines = ["a good film", "bad", "the very very good film a", "very bad film", "the film a the very good", "good bad"]
    (root / "texts.csv").write_text("text\n" + "\n".join(lines) + "\n")
    return root


@pytest.mark.parametrize(("name", "target"), [("gpt", "predicted"), ("llama", "token:good"), ("masked", "predicted"),
                                              ("bare", "similarity:good film")])  # fmt: skip
def test_language_models_and_encoders_are_looked_at_too(language: Path, name: str, target: str) -> None:
    ref = models.describe(ModelEntry(name="m", source="transformers", options={"path": name}), language)
    rows = data.describe(DataEntry(name="d", source="csv", options={"path": "texts.csv", "text": "text"}), language)
    subject = Subject(model=ref, data=labels.match(ref, rows), runtime=Runtime(batch_size=4))
    evidence, found = audited(subject, language, rows=6, heads=2, target=target)
    assert found.causal == (name in ("gpt", "llama"))
    assert found.heads == (2, 2) and found.effect.shape == (6, 2) and found.effect.any()
    assert any("too few tokens" in note for note in evidence.notes) == found.causal
    assert get(evidence, "collapsed_layers").n == int(found.usable.sum())


def test_one_example_alone_is_described_and_decides_nothing(reader: Any, tmp_path: Path) -> None:
    subject = saved_texts(tmp_path, reader)
    need = Attention(rows=4).needs(subject)["found"]
    evidence = Attention().measure(found=made(replace(need, rows=1), tmp_path))
    assert get(evidence, "collapsed_layers").distribution == Enclosure(low=0, high=2)
    assert not [each for each in evidence.measurements if each.name == "head_effect"]
    (table,) = (block for block in evidence.blocks if getattr(block, "title", "") == "Heads silenced")
    assert table.rows and all(None in row for row in table.rows)
