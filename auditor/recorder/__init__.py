"""Recorder: a small, free-standing record of a training run."""
