"""How fast the service is, against the bars it is held to: `make bench`, `make bench-full`."""
