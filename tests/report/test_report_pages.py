"""The pages: one file, safe, complete."""

import pytest

from auditor.report import html
from tests import cases


@pytest.fixture(scope="module")
def screen() -> str:
    """The rich report on screen."""
    return html.render(cases.report())


def test_every_check_has_its_section(screen: str) -> None:
    for check in cases.checks():
        assert f'id="check-{check.id.replace("_", "_5f")}"' in screen


def test_finding_digest_is_on_the_page(screen: str) -> None:
    assert cases.report().finding_digest in screen
