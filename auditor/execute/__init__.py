"""Execute: the only stage that touches devices."""
