"""Attention: what a transformer's heads attend to, what flows through them, and what they do to the answer."""
