"""Similarity: how alike two maps, or two representations, of the same examples are."""
