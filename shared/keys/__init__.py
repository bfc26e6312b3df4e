"""API keys: what they are, where they lie, and the copy that each process asks."""
