"""What measure() takes and needs() gives: a plan is refused where they disagree."""

from typing import Any

import pytest

from auditor.errors import UsageError
from auditor.evidence import Evidence
from auditor.needs import Derived
from auditor.plan.measure import measure_of


class Nothing(Derived[Any]):
    artifact = Evidence

    def build(self, *args: Any, **upstream: Any) -> Any:
        return None


def refused(measure: Any, *names: str) -> bool:
    fake: Any = type("Fake", (), {"measure": staticmethod(measure), "version": 1})()
    try:
        measure_of(fake, "fake", 0, {name: Nothing() for name in names})
    except UsageError:
        return True
    return False


def test_required_artifacts_must_be_given_and_unknown_ones_must_not() -> None:
    def plain(*, maps: Any, seed: int) -> None: ...

    assert not refused(plain, "maps")
    assert refused(plain) and refused(plain, "maps", "more") and refused(plain, "other")


def test_a_default_makes_an_artifact_optional_and_stars_collect_further_ones() -> None:
    def optional(*, maps: Any, regions: Any = None) -> None: ...

    def collecting(*, maps: Any, regions: Any = None, **further: Any) -> None: ...

    assert not refused(optional, "maps") and not refused(optional, "maps", "regions")
    assert refused(optional, "maps", "layer_2") and refused(collecting, "layer_2")
    assert not refused(collecting, "maps", "layer_2")


def test_the_refusal_names_both_sides() -> None:
    def plain(*, maps: Any) -> None: ...

    fake: Any = type("Fake", (), {"measure": staticmethod(plain), "version": 1})()
    with pytest.raises(UsageError, match="measure\\(\\) takes maps, but needs\\(\\) gives predictions"):
        measure_of(fake, "fake", 0, {"predictions": Nothing()})
