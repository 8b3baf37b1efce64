"""`auditor.record` for people's own training loops; it imports nothing of the product, and torch inside functions."""
