"""Registry: the checks by name, found from their files without importing them."""
