"""Schemathesis on the API of a real daemon."""
