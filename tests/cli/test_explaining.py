"""A check's page is made from its class: metrics, parameters, a spec to start from."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from auditor.check import About, Check
from auditor.cli.explaining import page
from auditor.evidence import Evidence, Metric
from auditor.needs import Need
from auditor.subject import Subject


class Roundness(Check):
    """How round are its answers?"""

    pillar = "task"
    about = About(
        title="Roundness",
        question="How round are its answers?",
        formula="r = 1 / |x|",
        method="Counting corners.",
        reading="Near 1 is round.",
        limits="Only for shapes.",
        citation="Euclid, Elements III",
    )
    metrics = (
        Metric(name="corners", better="down", interval="wilson", resampling="example", doc="Corners | edges."),
        Metric(name="area", thresholdable=False, doc="Shown only."),
    )
    kind: Literal["disc", "ring"] = Field("disc", description="The shape.")
    steps: int = Field(16, ge=1, le=64, description="Steps.")
    holes: list[str] | None = Field(None, description="Holes.")

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        return {}

    def measure(self, *args: Any, **artifacts: Any) -> Evidence:
        return Evidence(measurements=())


def test_every_part_of_the_class_is_on_the_page() -> None:
    text = page("task.roundness", Roundness)
    assert text.startswith("# task.roundness\n\nRoundness.\n\n*How round are its answers?*\n")
    assert "| `corners` |  | down | wilson | example | Corners \\| edges. |" in text
    assert "| `area` |  | descriptive |" in text
    assert "| `kind` | disc, ring | disc | The shape. |" in text
    assert "| `steps` | integer at least 1 at most 64 | 16 | Steps. |" in text
    assert "| `holes` | list of string or null | null | Holes. |" in text
    assert "  - use: task.roundness\n    expect: {corners: {at_most: ...}}" in text
    for title in ("Definition", "Method", "How to read it", "Limits", "Source"):
        assert f"\n## {title}\n" in text


def test_a_check_without_parameters_says_so() -> None:
    class Bare(Roundness):
        """No parameters."""

    Bare.model_json_schema = classmethod(lambda cls: {"properties": {}})  # type: ignore[method-assign]
    assert "## Parameters\n\nNone.\n" in page("task.bare", Bare)
