"""How is the curvature of the loss distributed over all directions?"""

from typing import ClassVar

from auditor.artifacts.curvature import Curvature, OfCurvature
from auditor.artifacts.curvature_figures import density
from auditor.check import About, Check, Pillar
from auditor.evidence import Evidence, Measurement, Metric, Quantiles
from auditor.methods.curvature.found import Spectrum as Found
from auditor.statistics import spread


class Spectrum(OfCurvature, Check):
    """How is the curvature of the loss distributed over all directions?

    Figure: the spectral density.
    """

    pillar: ClassVar[Pillar] = "optimizability"
    about: ClassVar[About] = About(
        title="Spectrum of the curvature",
        question="How is the curvature of the loss distributed over all directions of the weights?",
        formula="density(x) = 1/n sum_i delta(x - lambda_i), lambda_i the n eigenvalues of the second derivatives of "
        "the mean loss",
        method="Stochastic Lanczos quadrature: from each random probe, without its part in the basis that found the "
        "outermost eigenvalues, 96 products give a small matrix whose eigenvalues and first entries are nodes and "
        "weights of the density; the mean over four probes is joined with the eigenvalues of the basis. The interval "
        "of trace_relative_se is that of the probes' standard deviation, by chi-squared. Below 2,000 parameters all "
        "eigenvalues are computed, and all is exact. The same run serves optimizability.sharpness.",
        reading="A trained network shows a tall peak at zero (directions in which nothing changes) and a few large "
        "eigenvalues far to the right, often about as many as there are classes. Mass to the left of zero means "
        "that the weights are not at a minimum. The curve is drawn on a logarithmic axis: most of the mass is in the "
        "peak.",
        limits="The curve is smoothed by a Gaussian of 1% of the range, so its width near zero is not that of the "
        "peak. Single eigenvalues inside the bulk are not resolved. Like the top eigenvalue, the spectrum changes "
        "with the scale of the weights and belongs to the declared rows.",
        citation="Golub and Welsch, Mathematics of Computation 23 (1969). Ghorbani, Krishnan and Xiao, An "
        "investigation into neural net optimization via Hessian eigenvalue density, ICML 2019. Papyan, Measurements "
        "of three-level hierarchical structure in the outliers in the spectrum of deepnet Hessians, ICML 2019.",
    )
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="trace_relative_se", better="down", interval="chi2", resampling="probe",
            doc="Standard error of the trace over its size: how well the probes agree; 0 where it is exact.",
            what_to_try="Take more probes: four times as many halve it.",
        ),
        Metric(
            name="bulk_width", better="down", thresholdable=False,
            doc="Width of the middle 90% of the density, without the listed eigenvalues, over the largest eigenvalue.",
        ),
        Metric(
            name="outliers", unit="eigenvalues", thresholdable=False,
            doc="How many of the `top` eigenvalues lie more than five standard deviations of the rest above its mean.",
        ),
    )  # fmt: skip

    def measure(self, *, curvature: Curvature) -> Evidence:
        """How sure the trace is, and the shape of the density."""
        found = curvature.found
        named = {"trace_relative_se": found.trace_relative_se(), "bulk_width": found.bulk_width(),
                 "outliers": found.outliers()}  # fmt: skip
        missing = tuple(f"{name} is not told: there is nothing to divide by." for name, value in named.items()
                        if value is None)  # fmt: skip
        measured = [self._one(name, float(value), found) for name, value in named.items() if value is not None]
        return Evidence(measurements=tuple(measured), blocks=density(curvature), notes=(*curvature.notes(), *missing))

    def _one(self, name: str, value: float, found: Found) -> Measurement:
        n = len(found.traces)
        if name != "trace_relative_se" or found.full or found.is_skewed:
            exact = found.full and not found.is_skewed
            return self.exact(name, value, kind="exact" if exact else "unreplicated")
        return self.replicated(name, value, Quantiles(values=spread(value, n)), n)
