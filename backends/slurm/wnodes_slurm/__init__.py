"""Slurm, by its commands: argv builders, pure parsers, and the driver that joins them."""
