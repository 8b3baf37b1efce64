"""Audit a pretrained model from a YAML spec: measurements, verdicts with intervals, and a report."""

__version__ = "0.1.0"
