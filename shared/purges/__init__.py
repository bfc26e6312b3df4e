"""Purges: when what was deleted has left the files of Redis and of the object store."""
