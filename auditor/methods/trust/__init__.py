"""Trust: whether an explanation deserves to be believed."""
