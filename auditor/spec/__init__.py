"""The spec language: what people write, and the resolved Spec that every later stage reads."""
