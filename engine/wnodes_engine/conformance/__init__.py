"""What every backend must do, as laws to be tried on a real farm: `python -m wnodes_engine.conformance`."""
