"""Judge: rules and evidence in, verdicts out; pure, and without a route to a silent pass."""
