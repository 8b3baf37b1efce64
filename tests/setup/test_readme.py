"""What README and CONTRIBUTING tell people to write and to type is there."""

import re
from pathlib import Path

import pytest

from auditor import audit
from auditor.cli.commands import auditor

PAGES = ("README.md", "CONTRIBUTING.md", "docs/spec.md", "docs/verdicts.md")


def test_the_first_specs_are_valid(project: Path, tmp_path: Path) -> None:
    """Beside the files that they name; only their places matter to validate."""
    for folder in ("models/reviews", "data/test", "weights"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("data/test.csv", "weights/flowers.safetensors"):
        (tmp_path / file).touch()
    written = re.findall(r"```yaml\n(.*?)```", (project / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(written) == 2
    for text in written:
        (tmp_path / "spec.yaml").write_text(text, encoding="utf-8")
        assert audit.validate(tmp_path / "spec.yaml").spec.checks


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_exist(project: Path, page: str) -> None:
    text = (project / page).read_text(encoding="utf-8")
    typed = set(re.findall(r"(?:`|^    )auditor ([a-z]+)", text, re.MULTILINE))
    made = set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (project / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert typed <= set(auditor.commands)
    assert made <= targets


def test_the_pages_it_points_to_are_there(project: Path) -> None:
    for page in PAGES:
        links = re.findall(r"\]\(([^)#:]+)\)", (project / page).read_text(encoding="utf-8"))
        assert [link for link in links if not (project / page).parent.joinpath(link).exists()] == []
