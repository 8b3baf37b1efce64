"""Checks: one file a check, found by its place."""
