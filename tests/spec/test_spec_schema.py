"""The JSON Schema: built from the classes and the checks, so that editors complete with: and expect:."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from auditor.spec.layers import PRESETS, preset_names
from auditor.spec.options import DATA_OPTIONS, MODEL_OPTIONS
from auditor.spec.schema import schema


@pytest.fixture
def document(catalogue: Any) -> dict[str, Any]:
    return schema(catalogue)


def definition(document: dict[str, Any], ref: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = document["$defs"][ref["$ref"].rpartition("/")[2]]
    return found


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    refs = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(document)))
    assert refs <= set(document["$defs"])


def test_a_check_brings_its_parameters_and_metrics(document: dict[str, Any]) -> None:
    rules = document["properties"]["checks"]["items"]["allOf"]
    by_use = {rule["if"]["properties"]["use"]["const"]: rule["then"]["properties"] for rule in rules}
    saliency = by_use["interpretability.saliency"]
    assert set(definition(document, saliency["with"])["properties"]) == {"examples", "smooth", "layers"}
    assert set(saliency["expect"]["properties"]) == {"all_zero_share"}, "descriptive metrics are not offered"
    assert saliency["expect"]["additionalProperties"] is False


@pytest.mark.parametrize("source", [*MODEL_OPTIONS, "finetune", "exported", "torchscript"])
def test_every_model_source_is_there(document: dict[str, Any], source: str) -> None:
    entries = {entry["title"]: entry for entry in document["properties"]["model"]["oneOf"]}
    assert source in entries
    if source in MODEL_OPTIONS:
        assert set(entries[source]["properties"]) == {"source", "history", *MODEL_OPTIONS[source].model_fields}


def test_a_finetune_has_one_task_or_several(document: dict[str, Any]) -> None:
    entries = {entry["title"]: entry for entry in document["properties"]["model"]["oneOf"]}
    one, several = (definition(document, ref) for ref in entries["finetune"]["properties"]["finetune"]["anyOf"])
    assert {"data", "validation"} <= set(one["required"]) and "tasks" not in one["properties"]
    assert "tasks" in several["required"] and "data" not in several["properties"]
    assert set(document["$defs"]["WrittenTask"]["properties"]) == {"data", "validation", "head", "weight"}


@pytest.mark.parametrize("source", [*DATA_OPTIONS, "jsonl", "parquet", "huggingface", "torchvision", "factory"])
def test_every_data_source_is_there(document: dict[str, Any], source: str) -> None:
    single = document["properties"]["data"]["anyOf"][0]
    assert source in {entry["title"] for entry in single["oneOf"]}


def test_what_comes_later_is_in_the_schema(document: dict[str, Any]) -> None:
    assert {"baseline", "waivers", "extends", "params"} <= set(document["properties"])
    assert "versus" in document["$defs"]["Bounds"]["properties"]
    assert "trace" in document["$defs"]["WrittenHistory"]["properties"]


def test_numbers_may_carry_units_and_words_may_stand_for_lists(document: dict[str, Any]) -> None:
    timeout = document["$defs"]["RunSettings"]["properties"]["timeout"]
    assert timeout["type"] == ["number", "string"]
    assert re.search(timeout["pattern"], "30m")
    assert document["properties"]["extends"]["type"] == ["array", "string"]


def test_the_presets_are_offered(document: dict[str, Any]) -> None:
    offered = document["properties"]["extends"]["items"]["anyOf"][0]["enum"]
    assert offered == [f"auditor:{name}" for name in preset_names()]
    assert {"auditor:vision-classifier", "auditor:text-classifier"} <= set(offered)


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_preset_says_of_every_bound_whose_it_is(path: Path) -> None:
    preset = YAML(typ="safe", pure=True).load(path.read_text())
    assert preset["name"] == path.stem
    for check in preset["checks"]:
        assert check["question"].endswith("?")
        for bound in check.get("expect", {}).values():
            assert bound["why"].startswith(f"project convention, version {preset['version']}: ")
