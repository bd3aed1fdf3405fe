"""A policy as a picture: its shares, quotas, rules that make room, and routes."""
