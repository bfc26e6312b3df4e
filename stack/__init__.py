"""The embedded local stack: Redis, an object store, the API and the workers as child processes of one command."""
