"""One file for each group of public endpoints."""
