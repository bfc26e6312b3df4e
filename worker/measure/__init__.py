"""From landmarks to measurements, in pure numpy."""
