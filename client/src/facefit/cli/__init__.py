"""The command `facefit`."""
