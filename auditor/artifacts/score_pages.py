"""Standings: what joins the history of a model's layers to their importance, and how it is shown."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor.blocks import AnyBlock, Bar, Bars, Line, Lines, Table

if TYPE_CHECKING:
    from auditor.methods.training.record import Floats
else:
    Floats = object

SHOWN, CURVES, GRID = 30, 8, 21


@dataclass(frozen=True)
class Standing:
    """Layers with rate, share of the importance, u and v, [G], joined by alpha; steadiness and effective share."""

    names: tuple[str, ...]
    rate: Floats
    importance: Floats
    u: Floats
    v: Floats
    alpha: float
    steadiness: float
    effective_share: float

    def blocks(self) -> tuple[AnyBlock, ...]:
        """Ranked layers, the band over alpha, and the table."""
        import numpy as np

        from auditor.methods.importance.score import joined
        from auditor.methods.training.picture import short_names

        scores = joined(self.alpha, self.u, self.v)
        order = np.argsort(-scores, kind="stable").tolist()
        short = short_names(self.names)
        ends = np.stack([self.u, self.v])
        bars = tuple(
            Bar(label=short[at], value=float(scores[at]), low=float(ends[:, at].min()), high=float(ends[:, at].max()))
            for at in order[:SHOWN]
        )
        more = max(0, len(order) - SHOWN)
        rows = tuple(
            (short[at], float(self.rate[at]), float(self.importance[at]), float(self.u[at]), float(self.v[at]),
             float(scores[at]))
            for at in order[:SHOWN]
        )  # fmt: skip
        ranked = Bars(
            title="Layers by score", x_label="score", bars=bars,
            reading="The bar is the score at the chosen weight; its line reaches over all weights between steadiness "
            f"alone and importance alone.{f' {more} layers with lower scores are left out.' if more else ''}",
        )  # fmt: skip
        columns = ("layer", "rate", "share of importance", "u", "v", "score")
        table = Table(
            title="Layers", columns=columns, rows=rows, more=more,
            reading="u comes from the rate and v from the importance, both between 0 and 1 over these layers.",
        )  # fmt: skip
        return ranked, self._band(order[:CURVES], short), table

    def _band(self, order: list[int], short: tuple[str, ...]) -> Lines:
        import numpy as np

        from auditor.methods.importance.score import overall

        grid = np.linspace(0, 1, GRID)
        x = tuple(grid.tolist())
        whole = tuple(overall(alpha, self.steadiness, self.effective_share) for alpha in x)
        lines = [Line(label="the model", x=x, y=whole)]
        for at in order:
            lines.append(Line(label=short[at], x=x, y=tuple((grid * self.u[at] + (1 - grid) * self.v[at]).tolist())))
        return Lines(
            title="Scores over the weight", x_label="alpha, the weight of steadiness", y_label="score",
            lines=tuple(lines), marks=((self.alpha, "alpha"),),
            reading="Where lines cross, the order of the layers depends on the weight and not on the model.",
        )  # fmt: skip
