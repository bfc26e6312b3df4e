"""Object storage: the durable copy of everything that was accepted."""
