"""What the spec language asks of the catalogue of checks: names, and the class of a check that is used."""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from pydantic.fields import FieldInfo


class Named(Protocol):
    """A metric, as far as a spec needs to know it."""

    @property
    def name(self) -> str:
        """Its name, a contract."""

    @property
    def unit(self) -> str:
        """Its unit, "" for a plain number."""

    @property
    def better(self) -> str:
        """Which way is better: "up" or "down"."""

    @property
    def interval(self) -> str:
        """How its interval is made; "wilson" for a share."""

    @property
    def thresholdable(self) -> bool:
        """Whether an expectation may stand on it."""

    @property
    def doc(self) -> str:
        """What it is, in a sentence."""


class Catalogue(Protocol):
    """The checks by name. check() gives a pydantic class with `metrics` (Metric values) and `version`."""

    def names(self) -> tuple[str, ...]:
        """All names, without importing a check."""

    def check(self, use: str) -> Any:
        """The class of a check, imported now; KeyError for an unknown name."""


class _Checked(Protocol):
    metrics: ClassVar[tuple[Any, ...]]
    model_fields: ClassVar[dict[str, FieldInfo]]


def metrics_of(check: type[_Checked]) -> Mapping[str, Named]:
    """The metrics of a check class by name."""
    return {metric.name: metric for metric in check.metrics}


def data_fields(check: type[_Checked]) -> tuple[str, ...]:
    """The parameters of a check that name further data sets (json_schema_extra {"data": true})."""
    return tuple(
        name
        for name, info in check.model_fields.items()
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("data")
    )
