"""Artifacts: the needs that checks declare, thin over methods/."""
