"""A whole cloud in one process, with the faults of real ones on demand."""
