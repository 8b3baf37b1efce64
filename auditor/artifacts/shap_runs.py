"""SHAP runs: the values of two independent runs, how far they agree, and what a table's columns held."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.artifacts.asking import Asking
from auditor.artifacts.attributions import Attributions, Lines
from auditor.artifacts.quick import quick_of
from auditor.needs import Cost, Need

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class SharedOut:
    """Mean values of two runs (maps), and by example, float64 [n], how far the runs are apart.

    agreement: signed rank correlation of the two; NaN where one has no order. relative_se: methods/attribution/
    shap_values.py; NaN where all values are zero. columns: float32 [n, columns], a table's rows as the model takes
    them; [n, 0] for pictures and texts. Facts of the maps: `enumerated`, 1 where
    the values are exact; `distinct`, how many different values a run found; `parts`, among how many parts.
    """

    maps: Attributions
    agreement: "NDArray[np.float64]"
    relative_se: "NDArray[np.float64]"
    columns: "NDArray[np.float32]"

    @property
    def enumerated(self) -> bool:
        """Whether all sets of columns were evaluated, so that there is no chance in the values."""
        return bool(self.maps.facts["enumerated"].all())

    @property
    def without_order(self) -> "NDArray[np.bool_]":
        """The examples where a run gives all parts the same value, so that there is nothing to agree about, [n]."""
        import numpy as np

        return np.isnan(self.agreement) | np.isnan(self.relative_se)


@dataclass(frozen=True)
class SharedOutNeed(Asking[SharedOut]):
    """Two runs of `method` "shap" with different seeds."""

    artifact: ClassVar[type] = SharedOut

    @property
    def title(self) -> str:
        """A few words for plans and progress."""
        return "SHAP values"

    def needs(self) -> Mapping[str, Need[Any]]:
        """A quick copy of the model, its data, and what the model said of the examples."""
        return {**super().needs(), "model": quick_of(self.sweep)}

    def cost(self) -> Cost:
        """A forward an evaluation; here in batches."""
        each = dict(self.options).get("max_evals", 500)
        return Cost(forwards=self.sweep.batch_count(self.rows) * 2 * each)

    def build(self, *args: Any, **upstream: Any) -> SharedOut:
        """Batch by batch, one example after the other."""
        import numpy as np

        from auditor.methods.attribution.explain import method_of
        from auditor.methods.attribution.removal import removal_of, usual_fill

        method: Any = method_of("shap", **dict(self.options))
        lines, apart, columns = Lines(), [], []
        for inputs, targets, context in self.each(upstream):
            first = method.maps(upstream["model"], inputs, targets, context)
            second = first
            if not first.facts["enumerated"].all():
                other = replace(context, seed=(context.seed + 2**62) % 2**63)
                second = method.maps(upstream["model"], inputs, targets, other)
            removal = removal_of(inputs, usual_fill(inputs), context, method.grid)
            lines.add(_together(first, second, removal.own.sum(dim=1)), inputs)
            pairs = (each.values.flatten(1).double() for each in (first, second))
            apart += [_apart(a[own], b[own]) for a, b, own in zip(*pairs, removal.own.cpu(), strict=True)]
            is_table = not isinstance(inputs, dict) and inputs.ndim == 2
            columns.append(inputs.cpu().numpy() if is_table else np.empty((len(targets), 0)))
        agreement, relative_se = np.array(apart).T
        maps = replace(lines.result(upstream["explained"]), difference=upstream["model"].difference)
        return SharedOut(maps, agreement, relative_se, np.concatenate(columns).astype(np.float32))


def _together(first: Any, second: Any, parts: Any) -> Any:
    """The mean of two runs, the larger failure to add up, and the halvings of both."""
    from torch import maximum

    error = maximum(first.facts["additivity_error"], second.facts["additivity_error"])
    halved = first.halved + second.halved * (second is not first)
    distinct = (first.facts["distinct"] + second.facts["distinct"]) / 2
    facts = {**first.facts, "additivity_error": error, "distinct": distinct, "parts": parts}
    return replace(first, values=(first.values + second.values) / 2, facts=facts, halved=halved)


def _apart(first: Any, second: Any) -> tuple[float, float]:
    """Agreement and relative standard error of one example, over its own parts."""
    from auditor.methods.attribution.shap_values import relative_se
    from auditor.methods.similarity.ranks import signed_rank_correlation

    a, b = first.numpy(), second.numpy()
    ranked = signed_rank_correlation(a[None], b[None]) if len(a) > 1 else None
    agreement = float("nan") if ranked is None or ranked.constant[0] else float(ranked.values[0])
    return agreement, relative_se(a, b)
