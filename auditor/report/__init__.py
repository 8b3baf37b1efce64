"""Report: pages made of results.json, and of nothing else."""
