"""Pairs: the drift of a model against each of the others that a check names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from auditor.artifacts.drift import Drifts, DriftsNeed, left_out
from auditor.artifacts.representations import Alike, AlikeNeed
from auditor.needs import Derived, Need


@dataclass(frozen=True)
class Pairs:
    """Maps and predictions, and blocks, of each pair of models."""

    drifts: tuple[Drifts, ...]
    alike: tuple[Alike, ...]

    def each(self) -> Iterator[tuple[Drifts, Alike, str]]:
        """Each pair, and what stands behind `of` where there are several: the other model's name."""
        for drifts, alike in zip(self.drifts, self.alike, strict=True):
            yield drifts, alike, f", {drifts.other}" if len(self.drifts) > 1 else ""

    def notes(self) -> tuple[str, ...]:
        """What the reader must know, each said once."""
        said: list[str] = []
        for drifts, alike, _ in self.each():
            said += [*drifts.drifts[0].own.notes(), *drifts.remarks, *left_out(drifts), *alike.why]
        return tuple(dict.fromkeys(said))


@dataclass(frozen=True)
class PairsNeed(Derived[Pairs]):
    """All pairs, however many others there are."""

    artifact: ClassVar[type] = Pairs
    tensors: ClassVar[bool] = False
    drifts: tuple[DriftsNeed, ...]
    alike: tuple[AlikeNeed, ...]

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "drift against " + ", ".join(need.other for need in self.drifts)

    def needs(self) -> Mapping[str, Need[Any]]:
        """Two for each other model."""
        drifts = {f"drifts_{at}": need for at, need in enumerate(self.drifts)}
        return {**drifts, **{f"alike_{at}": need for at, need in enumerate(self.alike)}}

    def build(self, *args: Any, **upstream: Any) -> Pairs:
        """All in one."""
        several = range(len(self.drifts))
        return Pairs(
            tuple(upstream[f"drifts_{at}"] for at in several), tuple(upstream[f"alike_{at}"] for at in several)
        )
