"""The language server: what the tools know of a policy, while it is being written."""
