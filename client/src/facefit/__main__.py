"""`python -m facefit` is the command `facefit`."""

from facefit.cli.app import main

main()
