"""Methods: the mathematics, pure functions that know nothing of the product."""
