"""Plan: from a resolved spec to jobs; pure and without torch."""
