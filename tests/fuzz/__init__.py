"""Coverage-guided fuzzing of whatever reads policies: `make fuzz`."""
