"""Measure: the last job of a check, its artifacts in and its evidence out."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auditor.check import Check
from auditor.errors import UsageError
from auditor.evidence import Evidence
from auditor.needs import Derived, Need
from auditor.values import sha256


@dataclass(frozen=True)
class Measure(Derived[Evidence]):
    """One check of the audit, asked of its artifacts.

    The key covers the check's class and version, its parameters, its id and run seed (from which it draws), and the
    keys of its artifacts.
    """

    artifact = Evidence
    tensors = False

    check: Check
    check_version: int
    check_id: str
    run_seed: int
    upstream: tuple[tuple[str, Need[Any]], ...]

    @property
    def title(self) -> str:
        """The check's id."""
        return self.check_id

    @property
    def check_seed(self) -> int:
        """The seed of the check's own resampling: 63 bits of sha256(run seed, check id)."""
        return int(sha256({"seed": self.run_seed, "check": self.check_id})[:16], 16) >> 1

    def needs(self) -> Mapping[str, Need[Any]]:
        """The artifacts, by the parameter names of measure()."""
        return dict(self.upstream)

    def build(self, *args: Any, **upstream: Any) -> Evidence:
        """The check's evidence. Raises whatever measure() raises, NotApplicable among it."""
        if "seed" in inspect.signature(self.check.measure).parameters:
            upstream["seed"] = self.check_seed
        found = self.check.measure(**upstream)
        if not isinstance(found, Evidence):
            raise TypeError(f"measure() must return Evidence, but returned {type(found).__name__}")
        return found


def measure_of(check: Check, check_id: str, run_seed: int, needs: Mapping[str, Need[Any]]) -> Measure:
    """The Measure of a check. Raises UsageError when measure() does not take the artifacts of needs().

    needs() must give every keyword-only parameter without a default; one with a default may be missing, and names
    beyond them fit only where measure() collects them (`**more`).
    """
    parameters = inspect.signature(check.measure).parameters.values()
    named = [each for each in parameters if each.kind is each.KEYWORD_ONLY and each.name != "seed"]
    wanted = {each.name for each in named if each.default is each.empty}
    collects = any(each.kind is each.VAR_KEYWORD for each in parameters)
    if not wanted <= set(needs) or not (collects or set(needs) <= {each.name for each in named}):
        raise UsageError(
            f"{type(check).__module__}:{type(check).__qualname__}: measure() takes {_list(wanted)},"
            f" but needs() gives {_list(needs)}",
            "give the keyword-only parameters of measure() the names of needs()",
        )
    return Measure(
        check, type(check).version, check_id, run_seed, tuple(sorted(needs.items(), key=lambda item: item[0]))
    )


def _list(names: Any) -> str:
    return ", ".join(sorted(names)) or "nothing"
