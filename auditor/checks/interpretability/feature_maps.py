"""What the units of each layer respond to, and how many of them do nothing or repeat another."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from auditor.artifacts.portraits import portrayed
from auditor.artifacts.units import LayerUnits, Units, units_of
from auditor.blocks import Bar, Bars
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric
from auditor.needs import Need
from auditor.subject import Subject

BARS = 30
ENOUGH = 30


class FeatureMaps(Check):
    """What do the units of each layer respond to, and which are dead or doubled?

    Figure: what channels of one layer show of some pictures, the examples that units answer to most, and dead
    units by layer.
    """

    pillar: ClassVar[Pillar] = "interpretability"
    about: ClassVar[About] = About(
        title="Feature maps",
        question="What do the units of each layer respond to, and how many of them are dead or repeat another?",
        formula="dead: var(unit) <= 1e-12 x the mean variance of the layer's units;  duplicate: abs(correlation "
        "with an earlier unit) > .99;  share = such units / units of the layer",
        method="A unit is a channel of a picture's layer, a feature of a token, or a neuron. Its activations over all "
        "examples and places are summed up batch by batch (float64, in constant memory), at the outputs of "
        "nonlinearities and of blocks, or where `layers` says; padding does not count. Correlations use 16 places of "
        "each example, and in layers of more units than `pairs` a seeded choice of them. The layer with the largest "
        "share of dead units is chosen on one half of the examples and its share is measured on the other.",
        reading="A few dead or doubled units are common and harmless. A layer in which most are dead has lost its "
        "capacity: often a learning rate that was too high, or a broken initialization. In the grids each square is "
        "one channel; below them stand the examples that move a unit most.",
        limits="Dead is said of these examples: other data may wake a unit. No share has an interval, since it is a "
        "fact about the units over the examples given, not a sample of units. Activations that a model calls as "
        "functions are seen only where a block ends with them. What moves a unit most is no proof of what it means.",
        citation="Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014. Chan, Golub and "
        "LeVeque, The American Statistician 37 (1983). Lu et al., Dying ReLU and Initialization, 2020.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="worst_layer_dead_share", better="down",
               doc="The share of dead units in the layer with most of them: chosen on one half of the examples, "
               "measured on the other.",
               what_to_try="Look at that layer in the figure; retrain with a smaller learning rate, another "
               "initialization, or an activation that does not die (GELU, leaky ReLU)."),
        Metric(name="dead_share", better="down", thresholdable=False,
               doc="The share of dead units of each layer, over all examples."),
        Metric(name="duplicate_share", better="down",
               doc="The share of each layer's live units that repeat an earlier unit (of two copies, one counts).",
               what_to_try="The layer is wider than it needs to be, or units were initialized alike: prune it, or "
               "check the initialization."),
    )  # fmt: skip

    layers: str = Field(
        "auto", min_length=1, description="auto (outputs of nonlinearities and blocks), or a glob over layer names."
    )
    rows: int | None = Field(None, ge=4, description="Rows of the evaluation data to use; null takes all.")
    pairs: int = Field(256, ge=2, le=2048, description="At most this many units of a layer are compared in pairs.")

    def applies(self, subject: Subject) -> str | None:
        """Any model with data."""
        if subject.data is None:
            return "feature maps need a data set"
        return None

    def needs(self, subject: Subject) -> Mapping[str, Need[Any]]:
        """What the units do over the data."""
        return {"units": units_of(subject, self.layers, self.rows, self.pairs)}

    def measure(self, *, units: Units) -> Evidence:
        """Shares of dead and doubled units, layer by layer, and what the units of a middle layer respond to."""
        from auditor.methods.tally import dead

        worst = max(units.layers, key=lambda layer: float(dead(layer.variance_a).mean()))
        found = [
            self._fact("worst_layer_dead_share", float(dead(worst.variance_b).mean()), units.examples_b, worst.name)
        ]
        total = units.examples_a + units.examples_b
        for layer in units.layers:
            found.append(self._fact("dead_share", float(dead(layer.variance).mean()), total, layer.name))
            found.extend(self._doubled(layer, total))
        chosen = (
            f"{worst.name} has the largest share of dead units on one half of the examples ({units.examples_a}); "
            f"worst_layer_dead_share is its share on the other half ({units.examples_b})."
        )
        return Evidence(
            measurements=tuple(found),
            blocks=(_bars(units), *portrayed(units.portrait)),
            notes=(chosen, *units.notes()),
        )

    def _fact(self, name: str, value: float, n: int, layer: str) -> Measurement:
        """A fact about the units over n examples; over few it decides nothing: units look dead or alike too easily."""
        return self.exact(name, value, n, layer, kind="exact" if n >= ENOUGH else "unreplicated")

    def _doubled(self, layer: LayerUnits, total: int) -> list[Measurement]:
        """The share of a layer's live units, among those compared, that repeat an earlier one; none if all are dead."""
        from auditor.methods.tally import dead

        live = int((~dead(layer.variance)[layer.compared]).sum())
        if not live:
            return []
        return [self._fact("duplicate_share", float((layer.repeats >= 0).sum()) / live, total, layer.name)]


def _bars(units: Units) -> Bars:
    from auditor.methods.tally import dead

    shares = [(layer.name, float(dead(layer.variance).mean()), len(layer.variance)) for layer in units.layers]
    kept = sorted(sorted(range(len(shares)), key=lambda at: -shares[at][1])[:BARS])
    left = f" Of {len(shares)} layers, the {BARS} with most dead units are shown." if len(shares) > BARS else ""
    return Bars(
        title="Dead units, layer by layer",
        reading="The share of each layer's units that never change, in the order in which the layers run; in brackets "
        f"the number of units.{left}",
        x_label="share of dead units",
        bars=tuple(Bar(label=f"{shares[at][0]} ({shares[at][2]})", value=shares[at][1]) for at in kept),
    )
