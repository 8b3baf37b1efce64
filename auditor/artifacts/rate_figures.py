"""The figures of change rates: of the whole model, of single weights, and layer by layer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from auditor.artifacts.curves import element_band, layer_map, layer_ratios, seed_curves
from auditor.blocks import AnyBlock

if TYPE_CHECKING:
    from auditor.methods.training.rates import Kind
    from auditor.methods.training.record import Changes


def rate_figures(kept: "Sequence[Changes]", kind: "Kind") -> tuple[AnyBlock, ...]:
    """The curve of the whole model, the band over single weights, the map by layer and step, and the early ratios."""
    from auditor.methods.training.rates import early_ratios, element_bands, matrices, model_rates, tensor_rates

    first, which = kept[0], "" if len(kept) == 1 else ", first seed"
    rates, rows = tensor_rates(first, kind), matrices(first)
    label, names = "relative change per interval", [first.tensors[row] for row in rows]
    curve = seed_curves(
        "Change rate of the whole model", label,
        {"all trained weights": [(part.steps[1:], model_rates(part, kind)) for part in kept]},
        "Each point is how much the weights changed since the record before, as a share of their size.", log=True,
    )  # fmt: skip
    heat = layer_map(
        f"Change rate by layer and step{which}", label, names, first.steps[1:], rates[:, rows],
        "A row is a layer, a column a stretch of training. Empty cells did not move at all.",
    )  # fmt: skip
    band = element_band(
        f"Relative change of single weights{which}", label, first.steps[1:], element_bands(first),
        "The line is the median weight; nine of ten weights lie in the band. A band that widens means that some "
        "weights go on moving while most have settled.",
    )  # fmt: skip
    return curve, band, heat, *layer_ratios(early_ratios(first, rates), which)
