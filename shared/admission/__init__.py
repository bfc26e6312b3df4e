"""How much a tenant may ask of the service: limits, what counts against them, and the one step that decides."""
