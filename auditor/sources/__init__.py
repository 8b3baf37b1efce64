"""Where models and data come from: each source describes itself without torch, and loads itself in the worker."""
