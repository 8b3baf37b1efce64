"""Whole audits of odd shapes through the real command line, and every exit code once."""

from typing import Any
from xml.etree import ElementTree

import pytest
from desk import SHIPPED, Desk, check

HISTORY = {"model": {**SHIPPED, "history": {"checkpoints": "assets/digits-shipped/ckpt/step-*.safetensors"}}}
DIGITS = {"source": "sklearn", "name": "digits", "split": "test"}
MISSED = check("b", with_={"rows": 50}, expect={"mean": ">= 100"})
WAIVER = {"check": "b", "metric": "mean", "reason": "known", "approved_by": "Risk", "expires": "2999-01-01"}


def test_an_audit_without_data(desk: Desk) -> None:
    desk.write([check("rate", "traceability.change_rate", expect={"early_rate_ratio": "<= 400"})], **HISTORY)
    end = desk.audit()
    assert end.code == 0, end
    assert desk.outcomes() == {"rate": "pass"}
    assert desk.results()["data"] == {}


def test_a_check_that_needs_data_says_so_where_there_is_none(desk: Desk) -> None:
    desk.write([check("performance", "task.performance", expect={"accuracy": ">= 0.1"})])
    end = desk.audit()
    assert end.code == 3
    assert "performance needs a data set" in end.out.split("Next steps")[1]


def test_two_models_and_two_data_sets(desk: Desk) -> None:
    desk.write(
        [
            check("one", "task.performance", model="early", data="few", expect={"accuracy": "<= 1"}),
            check("two", "task.performance", model="model", data="few", expect={"accuracy": ">= 0.5"}),
            check("three", "task.performance", model="model", data="others", expect={"accuracy": ">= 0.5"}),
            check("fake", model="early", data="others"),
        ],
        model=None,
        models={"model": SHIPPED, "early": {"source": "transformers", "path": "assets/digits-early"}},
        data={"few": {**DIGITS, "sample": {"n": 100}}, "others": {**DIGITS, "split": "train", "sample": {"n": 120}}},
    )
    end = desk.audit()
    assert end.code == 0, end
    results = desk.results()
    assert [(each["model"], each["data"]) for each in results["checks"]] == [
        ("early", "few"), ("model", "few"), ("model", "others"), ("early", "others"),
    ]  # fmt: skip
    accuracy = [next(m for m in each["measurements"] if m["name"] == "accuracy") for each in results["checks"][:3]]
    assert [each["n"] for each in accuracy] == [100, 100, 120]
    assert accuracy[0]["value"] < accuracy[1]["value"]


def test_an_audit_whose_every_check_is_skipped_is_inconclusive(desk: Desk) -> None:
    desk.write([check("a", with_={"rows": 0}), check("b", with_={"rows": 0}, expect={})])
    end = desk.audit()
    assert end.code == 3
    assert desk.outcomes() == {"a": "skipped", "b": "skipped"}
    assert "a: it asks for no rows" in end.out
    desk.write([check("b", with_={"rows": 0}, expect={})])
    end = desk.audit()
    assert end.code == 3
    assert "Nothing was judged" in end.out


def test_a_part_of_an_audit(desk: Desk) -> None:
    desk.write([check("one"), check("two")], report={"formats": ["json", "junit", "html"]})
    end = desk.audit("-k", "one")
    assert end.code == 3
    assert "INCONCLUSIVE PARTIAL" in end.out
    assert desk.outcomes() == {"one": "pass", "two": "not_run"}
    page = (desk.folders()[-1] / "report.html").read_text()
    assert "Partial: some checks were deselected, so this audit cannot pass." in page
    assert not (desk.root / "runs" / "desk" / "latest").is_symlink()
    end = desk.audit()
    assert end.code == 0
    latest = (desk.root / "runs" / "desk" / "latest").resolve()
    assert desk.audit("-k", "one").code == 3
    assert (desk.root / "runs" / "desk" / "latest").resolve() == latest


@pytest.mark.parametrize(
    ("waiver", "code", "words"),
    [
        ({"no_worse_than": 5}, 0, "Accepted until 2999-01-01 by Risk: known"),
        ({"no_worse_than": 5, "expires": "2020-01-31"}, 1, "The waiver of Risk expired on 2020-01-31."),
        ({"no_worse_than": 5, "expires": "soon"}, 1, "'soon' is not a date (YYYY-MM-DD), so it waives nothing."),
        ({"no_worse_than": 50}, 1, "no worse than 50, and it is not."),
        ({}, 1, "names no no_worse_than, so it waives nothing."),
    ],
)
def test_waivers(desk: Desk, waiver: dict[str, Any], code: int, words: str) -> None:
    desk.write([check("a"), MISSED], waivers=[{**WAIVER, **waiver}])
    end = desk.audit()
    assert end.code == code, end
    assert words in end.out
    found = desk.results()["checks"][1]
    [verdict] = found["verdicts"]
    assert (verdict["outcome"], verdict["waived"]) == ("fail", code == 0)
    assert words in verdict["reason"]
    suites = ElementTree.parse(desk.folders()[-1] / "junit.xml").getroot()
    case = suites.find("testsuite[@name='b']/testcase")
    assert case is not None
    [said] = list(case)
    assert (said.tag, words in said.attrib["message"]) == ("skipped" if code == 0 else "failure", True)
    assert ("fail (waived)" in end.out) is (code == 0)


def test_warnings_alone_do_not_fail_an_audit(desk: Desk) -> None:
    soft = check("soft", with_={"rows": 50}, expect={"mean": {"at_least": 100, "severity": "warn"}})
    desk.write([check("a"), soft])
    end = desk.audit()
    assert end.code == 0
    assert desk.outcomes() == {"a": "pass", "soft": "warn"}


def test_exit_codes_of_what_cannot_begin(desk: Desk) -> None:
    desk.write([])
    end = desk.audit()
    assert (end.code, end.out) == (2, "")
    assert "the spec asks for no check" in end.err
    desk.write(
        [check("a")], model={"source": "factory", "factory": "fakes:model", "modality": "image", "classes": ["x", "y"]}
    )
    end = desk.audit()
    assert (end.code, end.out) == (4, ""), end
    assert "--trust model" in end.err
    desk.write([check("a")])
    desk.environment = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    end = desk.audit()
    assert (end.code, end.out) == (4, "")
    assert "unset TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" in end.err


def _recorded(desk: Desk) -> None:
    """A trace of some steps that end in the weights of the shipped digits model."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForImageClassification

    import auditor

    folder = desk.root / "assets" / "digits-shipped"
    model = AutoModelForImageClassification.from_pretrained(folder)
    last = load_file(folder / "model.safetensors")
    with torch.no_grad(), auditor.record(model, None, desk.root / "train.trace", every=1) as recorder:
        for step in range(5, 0, -1):
            for name, tensor in model.named_parameters():
                tensor.copy_(last[name] * (1 + 0.01 * (step - 1)))
            recorder.step(loss=float(step))


def test_a_history_from_a_trace(desk: Desk) -> None:
    _recorded(desk)
    model = {**SHIPPED, "history": {"trace": "train.trace", "from": "early"}}
    rate = check("rate", "traceability.change_rate", model="model", expect={"change_rate": "<= 0.1"})
    models = {"model": model, "early": {"source": "transformers", "path": "assets/digits-early"}}
    desk.write([rate], model=None, models=models)
    end = desk.audit()
    assert end.code == 0, end
    results = desk.results()
    assert results["checks"][0]["against"] == ["early"]
    assert results["models"]["model"]["history"]["holds"] == ["changes", "losses"]
    assert {measured["kind"] for measured in results["checks"][0]["measurements"]} == {"exact"}


def test_a_history_of_event_files_skips_what_needs_changes(desk: Desk) -> None:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(desk.root / "runs")) as writer:
        writer.add_scalar("train/loss", 1.0, 1)
    model = {**SHIPPED, "history": {"tensorboard": "runs"}}
    desk.write([check("rate", "traceability.change_rate", expect={"change_rate": "<= 0.1"})], model=model)
    assert desk.audit().code == 3
    assert "source tensorboard) does not hold changes" in desk.results()["checks"][0]["reason"]
