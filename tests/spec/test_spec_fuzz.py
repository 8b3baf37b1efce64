"""Whatever is written into a spec, the answer is a Loaded or a SpecError with places, never anything else."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from auditor.errors import SpecError
from auditor.spec.load import Loaded, load

WORDS = st.sampled_from([
    "auditor", "name", "model", "models", "data", "source", "transformers", "csv", "path", "checks", "use", "id",
    "task.performance", "expect", "accuracy", ">= 0.5", "with", "top", "after", "skip", "waivers", "check", "metric",
    "finetune", "from", "params", "${params.x}", "${env:HOME}", "${", "extends", "auditor:text-classifier", ".",
    "run", "timeout", "30m", "1", "0.5", "null", "true", "2027-01-01", "history", "checkpoints", "**/*", "..", "",
])  # fmt: skip
VALUES = st.recursive(
    WORDS | st.integers() | st.booleans() | st.none() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=25,
)
PIECES = st.lists(
    WORDS | st.sampled_from(list("{}[]:,-&*!|>'\"%@`#?~\\\n\t \0\ufeff\x85")) | st.text(max_size=3), max_size=40
).map("".join)
SETTINGS = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
HEAD = "auditor: 1\nname: x\n"


def outcome(text: str, catalogue: Any) -> None:
    Path("audit.yaml").write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        loaded = load(Path("audit.yaml"), catalogue)
    except SpecError as error:
        assert error.problems
        assert all(problem.message for problem in error.problems)
    else:
        assert isinstance(loaded, Loaded)


@SETTINGS
@given(text=PIECES)
@example(text='"\\UFFFFFFFF"')
@example(text="%YAML 9.9.9\n--- x")
@example(text="%TAG ! tag:x\n--- !<")
@example(text="? - ? - ? -")
@example(text="&a [*a, *a]")
@example(text="a: 1e999999999")
@example(text="a: " + "9" * 5000)
@example(text="!!int x: !!float y")
@example(text="--- |\n a\n...\n---\n")
def test_any_text(text: str, project: Path, catalogue: Any) -> None:
    outcome(text, catalogue)
    outcome(HEAD + text, catalogue)


@SETTINGS
@given(sections=st.dictionaries(WORDS, VALUES, max_size=8))
def test_any_structure(sections: dict[str, Any], project: Path, catalogue: Any) -> None:
    import json

    outcome(HEAD + "\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sections.items()), catalogue)


ENTRY = st.dictionaries(WORDS, VALUES, max_size=5)


@SETTINGS
@given(model=ENTRY, data=ENTRY, check=ENTRY, waiver=ENTRY)
def test_any_entry(
    model: dict[str, Any], data: dict[str, Any], check: dict[str, Any], waiver: dict[str, Any],
    project: Path, catalogue: Any,
) -> None:  # fmt: skip
    import json

    check = {"use": "task.performance", **check}
    whole = {"auditor": 1, "name": "x", "models": {"m": {"source": "transformers", **model}},
             "data": {"d": {"source": "csv", **data}}, "checks": [check], "waivers": [waiver]}  # fmt: skip
    outcome(json.dumps(whole), catalogue)


@pytest.mark.parametrize("depth", [10, 33, 2000])
def test_nesting_never_ends_in_a_recursion_error(depth: int, project: Path, catalogue: Any) -> None:
    outcome("[" * depth, catalogue)
    outcome("auditor: 1\nparams: {x: " + "[" * depth + "]" * depth + "}", catalogue)
    outcome("- " * depth, catalogue)
