"""The policy language: from text to a syntax tree with exact source positions."""
