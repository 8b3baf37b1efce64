"""Lineage: what two sets of weights have in common."""
