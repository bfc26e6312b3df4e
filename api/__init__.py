"""The HTTP API: thin; it never looks at a pixel."""
