"""The embedded default backend: a whole farm in one process, with the faults of real ones on demand."""
