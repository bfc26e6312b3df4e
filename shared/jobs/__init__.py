"""The core: job records, their moves, and how they are rebuilt from storage."""
