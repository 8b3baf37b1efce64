"""The user's policy file: what it may hold, and that a wrong one is said so."""

from pathlib import Path

import pytest

from auditor.errors import SpecError
from auditor.spec.policy import policy_file, user_policy


@pytest.fixture
def policy(project: Path) -> Path:
    path = policy_file()
    path.parent.mkdir(parents=True)
    return path


def test_no_file_is_an_empty_policy(project: Path) -> None:
    assert user_policy().roots == ()
    assert user_policy().trust == ()


def test_roots_and_trust_as_lists_or_single_words(policy: Path) -> None:
    policy.write_text("roots: [~/data, /srv/models]\ntrust: mine\n")
    found = user_policy()
    assert found.roots == (Path.home() / "data", Path("/srv/models"))
    assert found.trust == ("mine",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("roots: [3]\n", "roots: expected a list of texts"),
        ("rots: []\n", "unknown key 'rots' in the policy file"),
        ("roots: [\n", "this is not YAML"),
        ("roots: []\nroots: []\n", "duplicate key 'roots'"),
    ],
)
def test_a_wrong_policy_is_said_so(policy: Path, text: str, words: str) -> None:
    policy.write_text(text)
    with pytest.raises(SpecError) as caught:
        user_policy()
    assert words in str(caught.value)
    assert str(policy) in caught.value.problems[0].place
