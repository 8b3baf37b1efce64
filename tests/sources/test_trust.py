"""Code runs only with consent from outside the spec, and the refusal says how to give it."""

from pathlib import Path

import pytest

from auditor.errors import RefusedError
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


def test_consent_is_the_command_lines_and_the_policy_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert consent(["a"]) == {"a"}
    policy = tmp_path / ".config" / "auditor" / "policy.yaml"
    policy.parent.mkdir(parents=True)
    policy.write_text("trust: [b, 'sha256:1f']\n")
    assert consent(["a"]) == {"a", "b", "sha256:1f"}
    require([model("net", "code").model_copy(update={"digest": "sha256:1f"})], consent([]))


def test_an_environment_that_unpickles_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(RefusedError, match="unset TORCH_FORCE"):
        require([], frozenset())
