"""Options of photos as they are given on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from facefit.errors import ConfigurationError
from facefit.options import JobOptions

Given = Annotated[
    list[str],
    typer.Option(
        "--option",
        "-o",
        help="Any option of the API, such as known_pd_mm=63 or require=face_width,eye_gap.",
        metavar="NAME=VALUE",
    ),
]


def options_of(given: Sequence[str]) -> dict[str, str]:
    """Return options by name.

    Raises
    ------
    ConfigurationError
        If one is none, or is given twice.
    """
    known = sorted(JobOptions.__annotations__)
    found: dict[str, str] = {}
    for entry in given:
        name, equals, value = entry.partition("=")
        if not equals or name not in known:
            raise ConfigurationError(f"--option {entry!r}: it is name=value, of {', '.join(known)}")
        if name in found:
            raise ConfigurationError(f"--option {name} is given twice")
        found[name] = value
    return found
