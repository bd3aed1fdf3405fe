"""The decision log: everything that is done to a state and what came of it, to be run again and confirmed."""
