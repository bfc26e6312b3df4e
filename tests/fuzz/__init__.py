"""Fuzzing of every door through which strangers' bytes come: `make fuzz`."""
