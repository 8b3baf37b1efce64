"""What is measured about auditor itself; each file says the command that runs it."""
