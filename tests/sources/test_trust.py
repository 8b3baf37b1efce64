"""Code runs only with consent from outside the spec, and the refusal says how to give it."""

from pathlib import Path

import pytest

from auditor.errors import RefusedError, UsageError
from auditor.sources.trust import consent, require
from auditor.subject import ModelRef


def model(name: str, trust: str, parent: ModelRef | None = None) -> ModelRef:
    return ModelRef(
        digest=name, name=name, source="factory", entry={}, architecture="net:Net", modality="image",
        trust=trust, parent=parent,
    )  # fmt: skip


def test_data_and_restricted_need_no_consent() -> None:
    require([model("a", "data"), model("b", "restricted")], frozenset())


def test_code_needs_consent_by_name() -> None:
    code = model("net", "code")
    with pytest.raises(RefusedError) as caught:
        require([model("a", "data"), code], frozenset({"other"}))
    assert "--trust net" in str(caught.value) and "policy.yaml" in str(caught.value)
    assert caught.value.exit_code == 4
    require([code], frozenset({"net"}))


def test_a_fine_tune_of_code_is_code() -> None:
    tuned = model("tuned", "code", parent=model("net", "code"))
    with pytest.raises(RefusedError, match="--trust net"):
        require([tuned], frozenset())
    require([tuned], frozenset({"net"}))


def test_consent_is_the_command_lines_and_the_policy_files(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    assert consent(["a"], policy) == {"a"}
    policy.write_text("trust: [b, c]\n")
    assert consent(["a"], policy) == {"a", "b", "c"}
    for wrong in ("trust: yes\n", "- a\n", "trust: [1]\n", "trust: [\n"):
        policy.write_text(wrong)
        with pytest.raises(UsageError, match=r"policy\.yaml: expected a list of model names"):
            consent([], policy)
