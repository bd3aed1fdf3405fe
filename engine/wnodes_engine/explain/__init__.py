"""One request against a policy and a state: every rule that was tried, every limit, and what would help."""
