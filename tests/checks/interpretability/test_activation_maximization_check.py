"""interpretability.activation_maximization: a planted patch returns in the picture, dead layers are refused."""

from pathlib import Path
from typing import Any

import healthy
import pytest
import torch
from healthy import Trained
from making import evidence
from torch import Tensor, nn

from auditor.artifacts.maximized import Maximized
from auditor.blocks import Images, Table
from auditor.checks.interpretability.activation_maximization import ActivationMaximization
from auditor.errors import AuditorError, NotApplicable, UsageError
from auditor.evidence import Evidence
from auditor.execute.codec import decode, encode


def artifact(given: Trained, **params: Any) -> Maximized:
    need: Any = ActivationMaximization(**{"steps": 40, "rows": 64, **params}).needs(given.subject)["found"]
    return decode(*encode(need.build(**given.upstream())), Maximized)


def audited(given: Trained, **params: Any) -> Evidence:
    return ActivationMaximization().measure(found=artifact(given, **params))


@pytest.mark.parametrize(("layer", "name"), [("logits", "logits"), ("auto", "relu2"), ("conv1", "conv1")])
def test_what_is_made_exceeds_the_best_natural_input(layer: str, name: str) -> None:
    given = healthy.trained("digits", rows=64)
    made = artifact(given, layer=layer, units=2, steps=100, smooth=1.0)
    assert made.layer == name and len(made.made) == 2
    found = ActivationMaximization().measure(found=made)
    assert all(m.value > 0 and m.kind == "unreplicated" and m.n == 64 for m in found.measurements)


def test_natural_values_are_those_of_the_model() -> None:
    given = healthy.trained("digits", rows=64)
    logits = given.model.logits(healthy.all_of(given.loader)[0]).detach()
    for one in artifact(given).made:
        mine = logits[:, int(one.name)].double()
        assert one.best == pytest.approx(float(mine.max())) and one.spread == pytest.approx(
            float(mine.std(correction=0))
        )


def test_pictures_made_stand_above_the_best_natural_ones() -> None:
    given = healthy.trained("digits", rows=64)
    (block,) = audited(given, steps=5).blocks
    assert isinstance(block, Images) and [len(row.pictures) for row in block.rows] == [4, 4, 4]
    assert [picture.caption for picture in block.rows[0].pictures] == [
        one.name for one in artifact(given, steps=5).made
    ]


class Cornered(nn.Module):
    """A planted shortcut: every class but the first is told by light in the upper left corner."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)
        with torch.no_grad():
            self.head.weight.zero_()
            corner = torch.zeros(8, 8)
            corner[:3, :3] = 1.0
            self.head.weight[1:] = (corner - 0.1 * (1 - corner)).flatten() * 5

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.head(x.flatten(1))
        return found


def test_a_planted_patch_returns_in_the_picture() -> None:
    for one in artifact(healthy.of("digits", Cornered(), 64), steps=100).made:
        pixels = one.picture[:, :, 0].astype(float)
        assert pixels[:3, :3].mean() > 200 and pixels[4:, 4:].mean() < 60


def test_a_dead_layer_is_refused_and_a_broken_one_is_an_error() -> None:
    given = healthy.trained("digits", rows=64)
    net: Any = given.model.module
    nn.init.constant_(net.conv2.bias, -1e3)
    with pytest.raises(NotApplicable, match="no unit of relu2 changes"):
        artifact(given, layer="relu2")
    nn.init.constant_(net.conv2.bias, float("nan"))
    with pytest.raises(AuditorError, match="not finite"):
        artifact(given, layer="relu2")
    with pytest.raises(UsageError, match="no layer of that name"):
        artifact(given, layer="conv9")


def test_nothing_is_left_on_the_model_and_answers_are_repeatable() -> None:
    given = healthy.trained("digits", rows=64)
    before = {name: tensor.clone() for name, tensor in given.model.module.state_dict().items()}
    one, same = (audited(given, layer="auto", steps=10) for _ in range(2))
    assert one == same
    assert all(torch.equal(tensor, before[name]) for name, tensor in given.model.module.state_dict().items())
    assert all(parameter.grad is None for parameter in given.model.module.parameters())
    assert sum(len(part._forward_hooks) for part in given.model.module.modules()) == 0


@pytest.mark.parametrize(("params", "modality", "task", "word"), [
    ({}, "tabular", "classification", "tabular"), ({"layer": "auto"}, "text", "classification", "spatial"),
    ({}, "text", "causal_lm", "name a layer"), ({}, "image", "classification", None),
    ({"layer": "encoder.layer.0"}, "text", "encoder", None),
])  # fmt: skip
def test_where_it_applies(params: Any, modality: str, task: str, word: str | None) -> None:
    subject = healthy.trained("digits").subject
    model = subject.model.model_copy(update={"modality": modality, "task": task})
    said = ActivationMaximization(**params).applies(subject.model_copy(update={"model": model}))
    assert said is None if word is None else word in str(said)


@pytest.mark.parametrize("layer", ["logits", "bert.encoder.layer.0"])
def test_texts_are_made_at_their_embeddings(tmp_path: Path, layer: str) -> None:
    found = evidence(ActivationMaximization(layer=layer, units=2, steps=60), healthy.reviews(tmp_path), tmp_path)
    assert all(m.value > 0 for m in found.measurements)
    (block,) = found.blocks
    assert isinstance(block, Table) and len(block.rows) == 2
    assert {word for row in block.rows for word in str(row[1]).split()} <= {
        "a",
        "good",
        "bad",
        "film",
        "[MASK]",
        "[UNK]",
    }


def test_another_climb_is_of_the_same_units() -> None:
    given = healthy.trained("digits", rows=64)
    one, other = (artifact(given, layer="relu1", steps=3, smooth=smooth) for smooth in (0.0, 50.0))
    assert [each.name for each in one.made] == [each.name for each in other.made]
