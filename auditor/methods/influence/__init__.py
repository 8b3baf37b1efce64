"""Which training examples move which decisions, by the gradients along a history."""
