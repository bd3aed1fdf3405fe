"""Load on a real daemon, over real connections, within bounds."""
