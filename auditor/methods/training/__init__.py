"""Training: a recorded fine-tune, and the numbers that are read off its record."""
