"""One farm under two schedulers: a machine wins its cores in the batch system, and boots there."""
