"""Landscape: the loss around weights, and on straight lines between them."""
