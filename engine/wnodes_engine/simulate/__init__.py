"""Replaying a log of jobs against a policy: discrete events over the same core that decides live."""
