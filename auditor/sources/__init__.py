"""Sources: models and data sets, described without torch and loaded with it."""
