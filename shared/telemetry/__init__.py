"""What is seen from outside: counts and canaries, from the processes that make them to whoever asks."""
