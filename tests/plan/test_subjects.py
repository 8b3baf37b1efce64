"""Subjects: each thing described once, labels matched to each model, and a runtime by fixed rules."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from auditor.errors import SourceError
from auditor.plan.runtime import runtime_of
from auditor.plan.subjects import Sources, resolve
from auditor.spec.model import CheckEntry, DataEntry, Finetune, ModelEntry, RunSettings, Spec
from auditor.subject import DataRef, ModelRef, Recipe


class Desk:
    """Fake sources that count how often each thing is described."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def model(self, entry: ModelEntry, root: Path) -> ModelRef:
        self.counts[entry.name] += 1
        digest = f"sha256:{entry.name}"
        return ModelRef(digest=digest, name=entry.name, source="factory", entry={}, architecture="a", modality="text")

    def tuned(self, entry: ModelEntry, parent: ModelRef, train: DataRef, validation: DataRef) -> ModelRef:
        self.counts[entry.name] += 1
        update = {"name": entry.name, "digest": "t", "parent": parent, "train": train, "validation": validation}
        return parent.model_copy(update=update)

    def joint(self, entry: ModelEntry, parent: ModelRef, data: Mapping[str, DataRef]) -> ModelRef:
        assert entry.finetune is not None
        return self.tuned(entry, parent, data[entry.finetune.train], data[entry.finetune.validation])

    def data(self, entry: DataEntry, root: Path) -> DataRef:
        self.counts[entry.name] += 1
        digest = f"sha256:{entry.name}"
        return DataRef(digest=digest, name=entry.name, source="csv", entry={}, modality="text", rows=5, used=5)

    def match(self, model: ModelRef, data: DataRef) -> DataRef:
        self.counts[f"{model.name}/{data.name}"] += 1
        return data.model_copy(update={"classes": (f"class of {model.name}",)})

    @property
    def sources(self) -> Sources:
        return Sources(self.model, self.tuned, self.joint, self.data, self.match)


def tune(name: str, parent: str) -> ModelEntry:
    recipe = Finetune(parent=parent, train="train", validation="eval", recipe=Recipe())
    return ModelEntry(name=name, source="finetune", finetune=recipe)


def spec_of(**models: ModelEntry) -> Spec:
    checks = (
        CheckEntry(id="one", use="x", model="tuned", data="eval", others={"train": "train"}),
        CheckEntry(id="two", use="x", model="tuned", data="eval", against=("base",)),
        CheckEntry(id="three", use="x", model="base"),
    )
    data = {name: DataEntry(name=name, source="csv") for name in ("train", "eval", "unused")}
    return Spec(name="s", models=models, data=data, checks=checks)


def test_each_thing_is_described_once_and_matched_to_each_model():
    desk = Desk()
    base = ModelEntry(name="base", source="factory")
    described = resolve(spec_of(tuned=tune("tuned", "base"), base=base), Path(), desk.sources)
    assert set(desk.counts.values()) == {1}
    one, two, three = (described.subjects[name] for name in ("one", "two", "three"))
    assert one.data is not None
    assert one.data.classes == one.others["train"].classes == ("class of tuned",)
    assert two.against[0].name == "base"
    assert three.data is None
    assert described.data["eval"].classes == ("class of tuned",)
    assert described.data["unused"].classes == ()
    assert described.models["tuned"].parent == described.models["base"]


def test_models_that_come_from_each_other_are_refused():
    spec = spec_of(tuned=tune("tuned", "base"), base=tune("base", "tuned"))
    with pytest.raises(SourceError, match="tuned -> base -> tuned"):
        resolve(spec, Path(), Desk().sources)


def test_the_runtime_follows_fixed_rules():
    auto = runtime_of(RunSettings(device="cpu"), "text")
    assert auto.batch_size == 16
    assert 1 <= auto.threads <= 8
    assert auto.packages["torch"]
    chosen = runtime_of(RunSettings(device="cuda", threads=3, batch_size=5, seed=9), "image")
    assert (chosen.device, chosen.threads, chosen.batch_size, chosen.seed) == ("cuda", 3, 5, 9)


def test_the_precision_of_perturbed_forwards_is_part_of_the_runtime():
    assert runtime_of(RunSettings(precision="bfloat16"), "image").precision == "bfloat16"


def test_data_from_outside_the_task_are_taken_without_their_labels(tmp_path: Path) -> None:
    desk = Desk()
    checks = (CheckEntry(id="one", use="x", model="base", data="eval", others={"ood": "train"}),)
    models = {"base": ModelEntry(name="base", source="factory")}
    data = {name: DataEntry(name=name, source="csv") for name in ("train", "eval")}
    spec = Spec(name="s", models=models, data=data, checks=checks)
    subject = resolve(spec, tmp_path, desk.sources).subjects["one"]
    assert not subject.others["ood"].labelled
    assert subject.data is not None and subject.data.labelled
