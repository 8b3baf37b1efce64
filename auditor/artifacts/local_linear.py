"""Local linear: how well a simple surrogate stands for the model around each example."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.asking import Asking
from auditor.artifacts.attributions import Attributions, Lines
from auditor.artifacts.explained import Explained
from auditor.artifacts.quick import quick_of
from auditor.needs import Cost, Need

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RADII = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Sizes of the steps that a tangent is tried on, in standard deviations of the example's own values."""


@dataclass(frozen=True)
class Coalesced:
    """Ridges over coalitions, float64 [n]: the weighted R2 on fresh ones, and the rank correlation of two fits.

    NaN: the score did not vary over the coalitions (r2), or a fit has no order (agreement).
    """

    maps: Attributions
    r2: "Floats"
    agreement: "Floats"


@dataclass(frozen=True)
class Tangents:
    """R2 of the tangent, float64 [n, radii], at RADII, NaN where the score did not vary; and how far it holds,
    NaN where it never varied."""

    r2: "Floats"
    radius: "Floats"
    explained: Explained


@dataclass(frozen=True)
class CoalescedNeed(Asking[Coalesced]):
    """Two independent fits by `method` "lime", and `fresh` coalitions that neither has seen."""

    artifact: ClassVar[type] = Coalesced
    coalitions: int = 300
    fresh: int = 200
    grid: int = 7
    penalty: float = 1.0

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "local linear surrogates"

    def needs(self) -> Mapping[str, Need[Any]]:
        """A quick copy of the model, its data, and what the model said of the examples."""
        return {**super().needs(), "model": quick_of(self.sweep)}

    def cost(self) -> Cost:
        """A forward a coalition; here in batches."""
        return Cost(forwards=self.sweep.batch_count(self.rows) * (2 * self.coalitions + self.fresh))

    def build(self, *args: Any, **upstream: Any) -> Coalesced:
        """All examples of a batch together."""
        import numpy as np

        from auditor.methods.attribution.method import Maps
        from auditor.methods.local_linear import fidelity
        from auditor.methods.similarity.ranks import signed_rank_correlation

        lines, r2, agreement = Lines(), [], []
        for inputs, targets, context in self.each(upstream):
            fits, fresh, removal, halved = self._fitted(upstream["model"], inputs, targets, context)
            first, second = (_on_parts(fit, removal) for fit in fits)
            lines.add(Maps(first.reshape(len(first), *removal.shape).float(), halved=halved), inputs)
            r2 += [fidelity(fit, each) for fit, each in zip(fits[0], fresh, strict=True)]
            own = removal.own.cpu()
            pairs = [(first[row, own[row]][None], second[row, own[row]][None]) for row in range(len(own))]
            ranked = [signed_rank_correlation(a.numpy(), b.numpy()) if a.numel() > 1 else None for a, b in pairs]
            agreement += [np.nan if each is None or each.constant[0] else each.values[0] for each in ranked]
        maps = replace(lines.result(upstream["explained"]), difference=upstream["model"].difference)
        return Coalesced(maps, np.array(r2), np.array(agreement))

    def _fitted(self, model: Any, inputs: Any, targets: Any, context: Any) -> tuple[Any, Any, Any, int]:
        """Two fits of each example, its fresh coalitions, the parts, and how often memory ran out."""
        from auditor.methods.attribution.perturb import Forwards
        from auditor.methods.attribution.removal import removal_of, usual_fill
        from auditor.methods.local_linear import asked_coalitions, ridge

        removal = removal_of(inputs, usual_fill(inputs), context, self.grid)
        forwards, generator = Forwards(model, context.batch_size), context.generator()
        draws = (self.coalitions, self.coalitions, self.fresh)
        first, second, fresh = (asked_coalitions(forwards, removal, targets, k, generator) for k in draws)
        fits = [[ridge(each, self.penalty) for each in seen] for seen in (first, second)]
        return fits, fresh, removal, forwards.halved


@dataclass(frozen=True)
class TangentsNeed(Asking[Tangents]):
    """The tangent at each example, tried on `draws` steps of each size."""

    artifact: ClassVar[type] = Tangents
    version: ClassVar[int] = 2
    draws: int = 40

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "tangents at the inputs"

    def maps(self) -> int:
        """A forward a step."""
        return self.draws * len(RADII)

    def needs(self) -> Mapping[str, Need[Any]]:
        """A quick copy of the model, its data, and what the model said of the examples."""
        return {**super().needs(), "model": quick_of(self.sweep)}

    def build(self, *args: Any, **upstream: Any) -> Tangents:
        """Batch by batch."""
        import numpy as np

        from auditor.methods.local_linear import largest_radius, tangent_r2

        found = [
            tangent_r2(upstream["model"], inputs, targets, RADII, self.draws, context)
            for inputs, targets, context in self.each(upstream, apart=False)
        ]
        r2 = np.concatenate(found)
        radius = largest_radius(np.nan_to_num(r2, nan=-np.inf), RADII)
        return Tangents(r2, np.where(np.isnan(r2).all(axis=1), np.nan, radius), upstream["explained"])


def _on_parts(fits: Any, removal: Any) -> Any:
    import torch

    values = torch.zeros(removal.own.shape, dtype=torch.float64)
    for row, (coefficients, _) in enumerate(fits):
        values[row, removal.own[row].cpu()] = torch.from_numpy(coefficients)
    return values
