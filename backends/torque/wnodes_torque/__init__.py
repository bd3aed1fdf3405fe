"""TORQUE 6.1 and 7, and OpenPBS and PBS Pro as a dialect of it, by their commands and accounting logs."""
