"""Specs that are right: what they resolve to."""

from pathlib import Path
from typing import Any

import pytest

from auditor.errors import SourceError, SpecError
from auditor.spec.load import Loaded, as_spec_error, load
from auditor.spec.model import Finetune
from auditor.subject import Lora, Recipe, Stop

HEAD = """\
auditor: 1
name: reviews
model: {source: transformers, path: models/reviews}
data: {source: csv, path: test.csv, text: review, label: stars}
"""


@pytest.fixture
def read(project: Path, catalogue: Any) -> Any:
    def read(text: str, **options: Any) -> Loaded:
        Path("audit.yaml").write_text(text)
        return load(Path("audit.yaml"), catalogue, **options)

    return read


def test_the_smallest_spec(read: Any) -> None:
    spec = read(HEAD + 'checks: [{use: task.performance, expect: {accuracy: ">= 0.85"}}]\n').spec
    (check,) = spec.checks
    assert (check.id, check.model, check.data) == ("performance", "model", "data")
    assert check.params == {"top": 5, "average": "macro"}
    (rule,) = check.rules
    assert (rule.at_least, rule.at_most, rule.set_by, rule.inherited) == (0.85, None, "audit.yaml:5", False)
    assert spec.models["model"].options == {"path": "models/reviews"}
    assert spec.data["data"].options == {"path": "test.csv", "text": "review", "label": "stars"}


SIX = ("performance", "saliency", "grad_cam", "change_rate", "convergence", "gradient_norm")
WITH_CHECK = HEAD + "checks: [{use: task.performance}]\n"


def test_a_spec_without_checks_is_an_error(read: Any) -> None:
    with pytest.raises(SpecError, match="the spec asks for no check"):
        read(HEAD)
    with pytest.raises(SpecError, match="the spec leaves no check to run"):
        skips = (f"{{id: {name}, skip: no labels}}" for name in SIX)
        read(PRESET + f"checks: [{', '.join(skips)}]\n")


def test_a_later_stage_reports_with_the_place(read: Any) -> None:
    loaded = read(WITH_CHECK)
    error = as_spec_error(loaded, SourceError("no column 'review'", where=("data", "data", "text")))
    assert isinstance(error, SpecError)
    assert error.problems[0].place.startswith("audit.yaml:4:")


PRESET = HEAD + "extends: auditor:vision-classifier\n"


def test_a_preset_brings_its_checks_and_says_so(read: Any) -> None:
    spec = read(PRESET).spec
    assert spec.presets == ("vision-classifier@1",)
    assert [check.id for check in spec.checks] == [
        "performance", "saliency", "grad_cam", "change_rate", "convergence", "gradient_norm",
    ]  # fmt: skip
    rules = [rule for check in spec.checks for rule in check.rules]
    assert all(rule.inherited and rule.set_by == "vision-classifier@1" and not rule.replaced for rule in rules)
    assert all(check.set_by == "vision-classifier@1" for check in spec.checks)


def test_an_inherited_check_is_changed_by_its_id(read: Any) -> None:
    text = PRESET + 'checks:\n  - {id: performance, with: {top: 3}, expect: {accuracy: ">= 0.85"}}\n'
    check = read(text).spec.checks[0]
    assert check.params == {"top": 3, "average": "macro"}
    assert [(rule.metric, rule.inherited) for rule in check.rules] == [("mcc", True), ("accuracy", False)]


@pytest.mark.parametrize(
    ("own", "loosened", "replaced"),
    [
        ('">= 0.05"', True, ">= 0.1 (auditor:vision-classifier@1)"),
        ('">= 0.5"', False, ">= 0.1 (auditor:vision-classifier@1)"),
        ('"<= 0.9"', True, ">= 0.1 (auditor:vision-classifier@1)"),
        ("{at_least: 0.1}", False, ">= 0.1 (auditor:vision-classifier@1)"),
    ],
)
def test_a_bound_over_a_presets_bound(read: Any, own: str, loosened: bool, replaced: str) -> None:
    text = PRESET + f"checks:\n  - {{id: performance, expect: {{mcc: {own}}}}}\n"
    (rule,) = read(text).spec.checks[0].rules
    assert (rule.loosened, rule.replaced, rule.inherited) == (loosened, replaced, False)
    assert rule.set_by == "audit.yaml:7"


def test_a_weaker_severity_is_loosened(read: Any, project: Path) -> None:
    Path("strict.yaml").write_text('checks: [{use: task.performance, expect: {accuracy: ">= 0.8"}}]\n')
    text = HEAD + "extends: strict.yaml\nchecks: [{id: performance, expect: {accuracy: {at_least: 0.9}}}]\n"
    (rule,) = read(text).spec.checks[0].rules
    assert (rule.at_least, rule.replaced, rule.loosened, rule.set_by) == (0.9, "", False, "audit.yaml:6")


def test_a_band_in_both_forms(read: Any) -> None:
    short = read(HEAD + 'checks: [{use: task.performance, expect: {accuracy: [">= 0.8", "<= 0.99"]}}]\n')
    long = read(HEAD + "checks: [{use: task.performance, expect: {accuracy: {at_least: 80 %, at_most: 99 pp}}}]\n")
    for loaded in (short, long):
        low, high = loaded.spec.checks[0].rules
        assert (low.at_least, low.at_most, high.at_least, high.at_most) == (0.8, None, None, 0.99)


def test_numbers_with_units(read: Any) -> None:
    text = HEAD + "run: {timeout: 30m}\nchecks:\n"
    text += "  - {use: interpretability.saliency, with: {smooth: 5 %}}\n"
    text += '  - {use: task.performance, expect: {drop: "<= 3 %", log_loss: "<= 0.3 nats"}}\n'
    spec = read(text).spec
    assert spec.run.timeout == 1800.0
    assert spec.checks[0].params["smooth"] == 0.05
    assert [rule.at_most for rule in spec.checks[1].rules] == [3.0, 0.3]


FINETUNE = """\
auditor: 1
name: tuned
models:
  base: {source: torchvision, arch: resnet18, weights: weights.safetensors}
  tuned: {finetune: {from: base, data: train, validation: eval, head: {classes: 5}, lr: 1e-3, seeds: 3}}
data:
  train: {source: image_folder, path: pictures/train}
  eval: {source: image_folder, path: pictures/eval, sample: {n: "${params.n}", stratify: true}, group: '^(plant\\d+)_'}
params: {n: 256}
defaults: {model: tuned, data: eval}
checks:
  - use: interpretability.drift
  - {id: base, use: task.performance, model: base, data: train, after: drift}
"""


def test_a_finetune_and_what_follows_from_it(read: Any) -> None:
    spec = read(FINETUNE).spec
    finetune = spec.models["tuned"].finetune
    assert finetune is not None
    assert (finetune.parent, finetune.train, finetune.recipe.head, finetune.recipe.seeds) == ("base", "train", 5, 3)
    drift, base = spec.checks
    assert (drift.model, drift.data, drift.against, drift.others) == ("tuned", "eval", ("base",), {"train": "train"})
    assert drift.params == {}
    assert (base.model, base.data, base.against, base.after) == ("base", "train", (), ("drift",))
    assert spec.data["eval"].options["sample"] == {"n": 256, "stratify": True}


def test_the_whole_recipe_of_a_finetune(read: Any) -> None:
    more = (
        'schedule: linear, micro_batch: 8, freeze: ["conv1.*", "layer1.*"], lora: {rank: 4, targets: ["*.query"]}, '
        "stop: {patience: 3, min_delta: 0.01}"
    )
    recipe = read(FINETUNE.replace("lr: 1e-3", f"lr: 1e-3, {more}")).spec.models["tuned"].finetune.recipe
    assert (recipe.schedule, recipe.micro_batch, recipe.freeze) == ("linear", 8, ("conv1.*", "layer1.*"))
    assert recipe.lora == Lora(rank=4, alpha=16, targets=("*.query",))
    assert recipe.stop == Stop(patience=3, min_delta=0.01)
    assert Recipe.model_validate(recipe.to_json()) == recipe
    assert not {"micro_batch", "freeze", "lora", "stop"} & set(Recipe().to_json()), "unused: digests stay"


def test_several_tasks_of_a_finetune_are_its_first_ones_model(read: Any) -> None:
    leaf = "leaf: {data: train, validation: eval, head: {classes: 5}}"
    tasks = f"tasks: {{{leaf}, sick: {{data: eval, validation: train, weight: 0.5}}}}"
    spec = read(FINETUNE.replace("data: train, validation: eval, head: {classes: 5}", tasks)).spec
    finetune = spec.models["tuned"].finetune
    assert finetune is not None
    assert (finetune.train, finetune.validation, finetune.recipe.head, finetune.recipe.seeds) == ("train", "eval", 5, 3)
    first, sick = finetune.tasks
    assert (first.name, first.train, first.head, first.weight) == ("leaf", "train", 5, 1.0)
    assert (sick.name, sick.validation, sick.head, sick.weight) == ("sick", "train", None, 0.5)
    assert spec.checks[0].others == {"train": "train"} and spec.checks[0].against == ("base",)
    assert Finetune.model_validate(finetune.to_json()) == finetune


def test_a_finetune_without_tasks_keeps_its_identity(read: Any) -> None:
    finetune = read(FINETUNE).spec.models["tuned"].finetune
    assert "tasks" not in finetune.to_json()


def test_adapters_need_targets(read: Any) -> None:
    with pytest.raises(SpecError, match="targets"):
        read(FINETUNE.replace("lr: 1e-3", "lr: 1e-3, lora: {rank: 4}"))


def test_a_further_data_set_goes_by_its_name(read: Any) -> None:
    text = """auditor: 1
name: named
model: {source: torchvision, arch: resnet18, weights: weights.safetensors}
data:
  train: {source: image_folder, path: pictures/train}
  eval: {source: image_folder, path: pictures/eval}
checks:
  - {id: by-name, use: interpretability.drift, data: eval}
  - {id: itself, use: interpretability.drift, data: train}
  - {id: none, use: interpretability.drift, data: eval, with: {train: null}}
  - {id: said, use: interpretability.drift, data: train, with: {train: eval}}
"""
    others = {check.id: check.others for check in read(text).spec.checks}
    assert others == {"by-name": {"train": "train"}, "itself": {}, "none": {}, "said": {"train": "eval"}}


def test_a_parameter_from_the_command_line_wins(read: Any) -> None:
    spec = read(FINETUNE, params={"n": "64"}).spec
    assert spec.data["eval"].options["sample"]["n"] == 64
    assert spec.params == {"n": 64}
    with pytest.raises(SpecError, match="declares no such parameter"):
        read(FINETUNE, params={"m": "64"})
    with pytest.raises(SpecError, match="found the text 'many'"):
        read(FINETUNE, params={"n": "many"})


def test_a_bound_from_the_command_line_says_so(read: Any) -> None:
    text = HEAD + 'params: {b: 0.9}\nchecks: [{use: task.performance, expect: {accuracy: ">= ${params.b}"}}]\n'
    assert [read(text).spec.checks[0].rules[0].set_by] == ["audit.yaml:6"]
    (rule,) = read(text, params={"b": "0.1"}).spec.checks[0].rules
    assert (rule.at_least, rule.set_by) == (0.1, "audit.yaml:6 -p b=0.1")
    (rule,) = (
        read(text.replace('">= ${params.b}"', '{at_least: "${params.b}"}'), params={"b": "0.1"}).spec.checks[0].rules
    )
    assert rule.set_by == "audit.yaml:6 -p b=0.1"


def test_checkpoints_are_a_pattern_below_the_root(read: Any) -> None:
    text = WITH_CHECK.replace("models/reviews}", 'models/reviews, history: {checkpoints: "ckpt/step-*.safetensors"}}')
    assert read(text).spec.models["model"].checkpoints == "ckpt/step-*.safetensors"


def test_a_history_may_be_a_trace_or_event_files_and_name_where_the_model_comes_from(read: Any) -> None:
    (Path("train.trace")).write_bytes(b"")
    text = """auditor: 1
name: lineage
models:
  base: {source: torchvision, arch: resnet18, weights: weights.safetensors}
  said: {source: torchvision, arch: resnet18, weights: weights.safetensors, history: {from: base}}
  traced: {source: torchvision, arch: resnet18, weights: weights.safetensors,
           history: {trace: train.trace, from: base}}
  watched: {source: torchvision, arch: resnet18, weights: weights.safetensors, history: {tensorboard: pictures}}
data: {source: image_folder, path: pictures/eval}
checks:
  - {id: said, use: interpretability.drift, model: said}
  - {id: chosen, use: interpretability.drift, model: traced, against: [said]}
  - {id: alone, use: task.performance, model: watched}
"""
    spec = read(text).spec
    said, chosen, alone = spec.checks
    assert (said.against, chosen.against, alone.against) == (("base",), ("said",), ())
    assert (spec.models["traced"].trace, spec.models["traced"].derived_from) == ("train.trace", "base")
    assert spec.models["watched"].tensorboard == "pictures"
    assert [name for name, model in spec.models.items() if model.has_history] == ["traced", "watched"]


def test_an_allowed_environment_variable_stays_a_reference(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REVIEWS", "models")
    text = WITH_CHECK.replace("models/reviews", '"./${env:REVIEWS}/reviews"')
    assert read(text, env=["REVIEWS"]).spec.models["model"].options["path"] == "${env:REVIEWS}/reviews"
    with pytest.raises(SpecError, match="--env REVIEWS"):
        read(text)
    monkeypatch.delenv("REVIEWS")
    with pytest.raises(SpecError, match="not set"):
        read(text, env=["REVIEWS"])


def test_more_roots_by_argument_and_by_policy(read: Any, project: Path) -> None:
    text = WITH_CHECK.replace("test.csv", "../secret.csv")
    outside = "../secret.csv"
    assert read(text, roots=[project.parent]).spec.data["data"].options["path"] == outside
    absolute = (project.parent / "secret.csv").as_posix()
    written = WITH_CHECK.replace("test.csv", absolute)
    assert read(written, roots=[project.parent]).spec.data["data"].options["path"] == absolute
    policy = project.parent / "home" / ".config" / "auditor" / "policy.yaml"
    policy.parent.mkdir(parents=True)
    policy.write_text(f"roots: [{project.parent}]\n")
    assert read(text).spec.data["data"].options["path"] == outside
    policy.write_text("root: []\n")
    with pytest.raises(SpecError, match="unknown key 'root' in the policy file"):
        read(text)


def test_paths_are_relative_to_the_file_that_names_them(project: Path, catalogue: Any) -> None:
    (project / "specs").mkdir()
    (project / "specs" / "audit.yaml").write_text(
        WITH_CHECK.replace("models/", "../models/").replace("test.csv", "../test.csv")
    )
    loaded = load(Path("specs/audit.yaml"), catalogue)
    assert loaded.root == project
    assert loaded.spec.models["model"].options["path"] == "models/reviews"
    assert loaded.spec.data["data"].options["path"] == "test.csv"


def test_a_skipped_check_is_listed_with_its_reason(read: Any) -> None:
    text = PRESET + "checks: [{id: grad_cam, skip: no pictures}]\n"
    spec = read(text).spec
    assert "grad_cam" not in [check.id for check in spec.checks]
    (skipped,) = spec.skipped
    assert (skipped.use, skipped.reason, skipped.metrics) == (
        "interpretability.grad_cam", "no pictures", ("all_zero_share",),
    )  # fmt: skip


@pytest.mark.parametrize("expires", ["2027-03-31", "20270331", "soon", "null", "[1]"])
def test_an_unreadable_date_is_left_to_the_judge(read: Any, expires: str) -> None:
    text = HEAD + 'checks: [{use: task.performance, expect: {accuracy: ">= 0.9"}}]\nwaivers:\n'
    text += f"  - {{check: performance, metric: accuracy, reason: r, approved_by: Risk, expires: {expires}}}\n"
    if expires == "[1]":
        with pytest.raises(SpecError, match="expires: expected text"):
            read(text)
        return
    (waiver,) = read(text).spec.waivers
    assert waiver.expires == expires
    assert waiver.set_by == "audit.yaml:7"


def test_only_the_checks_that_are_used_are_imported(read: Any, catalogue: Any) -> None:
    read(HEAD + "checks: [{use: task.performance}]\n")
    assert catalogue.asked == ["task.performance"]


def test_the_resolved_spec_does_not_know_the_machine(read: Any, project: Path) -> None:
    spec = read(PRESET).spec
    assert str(project) not in spec.model_dump_json()


def test_aliases_of_yaml_are_opened(read: Any) -> None:
    text = HEAD + "checks:\n  - {use: task.performance, with: &w {top: 3}}\n"
    text += "  - {id: again, use: task.performance, with: *w}\n"
    assert [check.params["top"] for check in read(text).spec.checks] == [3, 3]


def test_missing_and_odd_files(project: Path, catalogue: Any) -> None:
    for path, words in [("none.yaml", "No such file"), ("pictures", "is a folder")]:
        with pytest.raises(SpecError, match=words):
            load(Path(path), catalogue)
    Path("latin.yaml").write_bytes("auditor: 1\ntitle: \xe9\n".encode("latin-1"))
    with pytest.raises(SpecError, match=r"latin\.yaml:2:1: the file is not UTF-8"):
        load(Path("latin.yaml"), catalogue)
    Path("large.yaml").write_bytes(b"#" * 1_000_001)
    with pytest.raises(SpecError, match="more than 1,000,000 bytes"):
        load(Path("large.yaml"), catalogue)


def test_a_file_that_is_extended_twice_undoes_nothing(read: Any, project: Path) -> None:
    bounds = '{accuracy: ">= 0.8", mcc: ">= 0.5"}'
    accepted = "{check: performance, metric: mcc, reason: r, approved_by: b, expires: 2027-01-01}"
    base = f"checks: [{{use: task.performance, expect: {bounds}}}]\nwaivers: [{accepted}]\n"
    (project / "base.yaml").write_text(base)
    (project / "strict.yaml").write_text(
        'extends: base.yaml\nchecks: [{id: performance, expect: {accuracy: ">= 0.9"}}]\n'
    )
    (project / "more.yaml").write_text("extends: base.yaml\nchecks: [{use: interpretability.saliency}]\n")
    spec = read(HEAD + "extends: [strict.yaml, more.yaml]\n").spec
    assert [(rule.metric, rule.at_least) for rule in spec.checks[0].rules] == [("accuracy", 0.9), ("mcc", 0.5)]
    assert len(spec.waivers) == 1


def test_an_audit_has_a_name_and_language_of_its_own(read: Any, project: Path) -> None:
    with pytest.raises(SpecError, match="'name' is missing"):
        read(PRESET.replace("name: reviews\n", ""))
    with pytest.raises(SpecError, match="'auditor' is missing"):
        read(PRESET.replace("auditor: 1\n", ""))
    assert read(PRESET).spec.title == ""
    (project / "base.yaml").write_text("auditor: 2\ntitle: Ours\nchecks: [{use: task.performance}]\n")
    with pytest.raises(SpecError, match="expected 1, found 2"):
        read(HEAD + "extends: base.yaml\n")
    (project / "base.yaml").write_text("name: base\ntitle: Ours\nchecks: [{use: task.performance}]\n")
    spec = read(HEAD + "extends: base.yaml\n").spec
    assert (spec.name, spec.title) == ("reviews", "Ours")
