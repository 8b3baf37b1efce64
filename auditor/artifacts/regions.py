"""Regions: where the labelled objects are, in the pictures as the model sees them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.needs import Derived, Need
from auditor.subject import Subject

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INSIDE = 128
NO_REGIONS = "The data name neither boxes nor masks, so the pointing game was not played."


@dataclass(frozen=True)
class Regions:
    """Of the first rows of the reading order: uint8 [n, h, w], 1 inside; all 0 where none is known or seen."""

    inside: "NDArray[np.uint8]"

    def known(self) -> list[int]:
        """The rows that have a region."""
        return [row for row, region in enumerate(self.inside) if region.any()]

    def sentence(self) -> str:
        """What the reader of the pointing game must know: how many pictures have a region, and what chance would hit.

        >>> import numpy as np
        >>> Regions(np.zeros((2, 4, 4), np.uint8)).sentence()
        'No picture has a box or mask that the model sees, so the pointing game was not played.'
        """
        known = self.known()
        if not known:
            return "No picture has a box or mask that the model sees, so the pointing game was not played."
        return (
            f"The pointing game was played on {len(known)} of {len(self.inside)} pictures; the others have no region "
            f"that the model sees. Regions cover {self.inside[known].mean():.0%} of a picture on average: a point "
            "placed blindly hits as often."
        )


@dataclass(frozen=True)
class RegionsNeed(Derived[Regions]):
    """The regions of the first `rows` rows, through the model's own resizing and cropping."""

    artifact: ClassVar[type] = Regions
    batches: Need[Any]
    rows: int

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "regions of the objects"

    def needs(self) -> Mapping[str, Need[Any]]:
        """The data."""
        return {"batches": self.batches}

    def build(self, *args: Any, **upstream: Any) -> Regions:
        """Each region drawn at its picture's size, and brought to what the model sees."""
        import numpy as np

        loader = upstream["batches"]
        drawn = [loader.dataset.region(row) for row in loader.order[: min(self.rows, loader.rows)]]
        seen = [loader.encoder.steps.pixels(region)[..., 0] >= INSIDE for region in drawn]
        return Regions(np.stack(seen).astype(np.uint8))


def regions_of(subject: Subject, rows: int) -> RegionsNeed | None:
    """The regions of a subject's data, None where the data entry names neither boxes nor masks."""
    options = subject.data.entry.get("options", {}) if subject.data else {}
    named = options.get("boxes") or options.get("masks")
    if not named:
        return None
    from auditor.artifacts.roots import sweep_of

    return RegionsNeed(sweep_of(subject).batches, rows)
