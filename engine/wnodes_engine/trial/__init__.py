"""Policy tests: requests against states, what is expected of them, and how much of a policy they cover."""
