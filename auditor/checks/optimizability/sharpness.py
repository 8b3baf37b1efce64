"""How sharply does the loss bend around the weights?"""

from typing import ClassVar

from auditor.artifacts.curvature import Curvature, OfCurvature
from auditor.artifacts.curvature_figures import bent
from auditor.check import About, Check, Pillar
from auditor.evidence import Enclosure, Evidence, Measurement, Metric

DEAD = (
    "Nothing is measured: every second derivative is exactly zero, as of a network that is dead or saturated, whatever "
    "its loss. That is not a flat minimum."
)


class Sharpness(OfCurvature, Check):
    """How sharply does the loss bend around the weights, and does the learning rate fit that?

    Figure: the outermost eigenvalues, and the largest of each batch.
    """

    pillar: ClassVar[Pillar] = "optimizability"
    about: ClassVar[About] = About(
        title="Sharpness",
        question="How sharply does the loss bend around the model's weights?",
        formula="H = second derivatives of the mean loss by the weights;  H v = lambda v, residual = |H v - lambda v| "
        "/ |lambda|;  trace = sum of all eigenvalues",
        method="Evaluation mode, the mean loss over the first rows of the data: cross-entropy, squared error, or for "
        "language models the loss a token. The largest eigenvalues by sign, and the smallest, by Lanczos' method "
        "with full re-orthogonalization, on products that are exact up to rounding; each reported pair is verified by "
        "one more product, and its interval is its residual. The trace is that of Lanczos' basis plus the mean over "
        "random probes of what is left, with Student's interval over the probes. Below 2,000 parameters the matrix is "
        "written down and both are exact. Tied weights count once.",
        reading="The largest eigenvalue is how fast the slope changes in the direction where it changes most. "
        "Gradient descent without momentum is stable only while it times the learning rate stays below 2. Lower is "
        "flatter. A large spread between batches says that the number belongs to these examples more than to the "
        "task.",
        limits="It changes when weights are scaled so that the function stays the same, so compare models of one "
        "architecture and one scale of loss. It is that of the declared rows, not of all data. The bound of 2 is for "
        "plain gradient descent; adaptive optimizers live with larger values. Exactly equal eigenvalues are found "
        "once. A largest eigenvalue that has not converged, or that a probe sees surpassed, is a lower bound. A "
        "saturated network is flat, right or wrong, so read the loss beside it; where every product is zero nothing "
        "is measured, and products that are not symmetric decide nothing.",
        citation="Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994). Wu and Simon, "
        "SIAM Journal on Matrix Analysis and Applications 22 (2000). Meyer et al., Hutch++, SOSA 2021. Cohen et al., "
        "Gradient descent typically occurs at the edge of stability, ICLR 2021.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="top_eigenvalue", better="down", interval="enclosure",
            doc="The largest eigenvalue, within its verified residual.",
            what_to_try="Lower the learning rate at the end, train with larger batches or weight decay, or try "
            "sharpness-aware training; look at the layers alone with `layers`.",
        ),
        Metric(
            name="trace", better="down", interval="t", resampling="probe",
            doc="The sum of all eigenvalues.",
            what_to_try="As for top_eigenvalue; beside a small top eigenvalue, many directions are bent.",
        ),
        Metric(
            name="residual", better="down",
            doc="The largest of the reported pairs' verified residuals, relative to the eigenvalue (or a hundredth of "
            "the largest): how far to trust them.",
            what_to_try="Ask for fewer eigenvalues (`top`): crowded ones converge slowly.",
        ),
        Metric(
            name="negative_share", better="down", thresholdable=False,
            doc="Share of all directions with an eigenvalue below -0.001 of the largest, by the spectral density.",
        ),
        Metric(
            name="batch_spread", better="down", thresholdable=False,
            doc="(largest - smallest of the batches' own largest eigenvalues) / that of all rows together.",
        ),
    )  # fmt: skip

    def measure(self, *, curvature: Curvature) -> Evidence:
        """The outermost eigenvalues, the trace, and what the batches say alone."""
        found = curvature.found
        share, spread = found.negative_share(), found.batch_spread()
        if found.is_zero:
            return Evidence(measurements=(), blocks=tuple(bent(curvature)), notes=(*curvature.notes(), DEAD))
        measured = [self._top(curvature), self.averaged("trace", found.traces.tolist(), single="exact")]
        measured = [each.undecided() for each in measured] if found.is_skewed else measured
        measured.append(self.exact("residual", float(found.errors.max()), n=len(found.errors)))
        if share is not None:
            measured.append(self.exact("negative_share", share, kind="exact" if found.full else "unreplicated"))
        measured += [self.exact("batch_spread", spread, n=len(found.alone))] if spread is not None else []
        flat = ("No eigenvalue is above 0, so no share or spread is told.",) if found.sharpness <= 0 else ()
        return Evidence(measurements=tuple(measured), blocks=tuple(bent(curvature)), notes=(*curvature.notes(), *flat))

    def _top(self, curvature: Curvature) -> Measurement:
        value, within = curvature.found.sharpness, float(curvature.found.residuals[0])
        enclosure = Enclosure(low=value - within, high=value + within)
        measured = self.replicated("top_eigenvalue", value, enclosure, n=curvature.rows)
        return measured.model_copy(update={"censored": curvature.found.is_bound})
