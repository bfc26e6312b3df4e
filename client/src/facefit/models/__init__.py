"""What the service answers with, as typed models."""
