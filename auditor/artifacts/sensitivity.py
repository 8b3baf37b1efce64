"""Sensitivity: how far each example's map moves under small nudges of the input."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.asking import Asking
from auditor.artifacts.explained import Explained

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Sensitivities:
    """largest: float64 [n], the largest relative change of the map over the draws; NaN where the map is empty.

    still: how many inputs have one value everywhere, so that no nudge moves them; they too are NaN.
    """

    largest: "NDArray[np.float64]"
    explained: Explained
    still: int = 0


@dataclass(frozen=True)
class SensitivityNeed(Asking[Sensitivities]):
    """Max-sensitivity of one method; draws and radius as methods/trust/sensitivity.py defines them."""

    artifact: ClassVar[type] = Sensitivities
    version: ClassVar[int] = 2
    draws: int = 8
    radius: float = 0.02

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return f"sensitivity of {self.method.replace('_', ' ')}"

    def maps(self) -> int:
        """One, and one a draw."""
        return 1 + self.draws

    def build(self, *args: Any, **upstream: Any) -> Sensitivities:
        """One value an example, batch by batch."""
        import torch

        from auditor.methods.attribution.explain import method_of
        from auditor.methods.trust.sensitivity import largest_changes, max_sensitivity

        method = method_of(self.method, **dict(self.options))
        found = [
            largest_changes(method, upstream["model"], inputs, targets, context, self.draws, self.radius)
            for inputs, targets, context in self.each(upstream, apart=False)
        ]
        largest, size = (torch.cat(parts).double().cpu() for parts in zip(*found, strict=True))
        still = int((largest.isnan() & (size > 0)).sum())
        return Sensitivities(max_sensitivity(largest, size).numpy(), upstream["explained"], still)
