"""The objects of known size that can be held in a photo for scale, and how a client names them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

ID1_CARD: Final = "id1_card"
ID1_CARD_MM: Final = (85.60, 53.98)
"""Long and short side of an identity or bank card: ISO/IEC 7810, format ID-1."""

ARUCO_DICTIONARIES: Final = tuple(f"{bits}x{bits}_{count}" for bits in (4, 5, 6, 7) for count in (50, 100, 250, 1000))
"""As OpenCV names its predefined dictionaries, without `DICT_`."""
ARUCO_SIDE_MM: Final = (10.0, 200.0)
"""Sides that can be held to a face and be seen."""

_ARUCO: Final = re.compile(r"aruco:(?P<dictionary>[0-9x_]+):(?P<side>\d{1,3}(\.\d{1,3})?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class ReferenceObject:
    """An object of known size.

    Attributes
    ----------
    name : str
        As the client wrote it.
    width_mm, height_mm : float
        Its long and its short side.
    aruco_dictionary : str, optional
        Of a marker: one of `ARUCO_DICTIONARIES`. None for a card.
    """

    name: str
    width_mm: float
    height_mm: float
    aruco_dictionary: str | None = None


def parse_reference_object(name: str) -> ReferenceObject:
    """Read `id1_card` or `aruco:<dictionary>:<side in mm>`.

    Raises
    ------
    ValueError
        If it is neither; the message is fit for the client.
    """
    if name == ID1_CARD:
        return ReferenceObject(name, *ID1_CARD_MM)
    match = _ARUCO.fullmatch(name)
    if match is None:
        raise ValueError(f"must be {ID1_CARD}, or aruco:<dictionary>:<side in mm> such as aruco:4x4_50:40")
    dictionary, side_mm = match["dictionary"], float(match["side"])
    if dictionary not in ARUCO_DICTIONARIES:
        raise ValueError(f"no such dictionary: {dictionary}; there are {', '.join(ARUCO_DICTIONARIES)}")
    if not ARUCO_SIDE_MM[0] <= side_mm <= ARUCO_SIDE_MM[1]:
        raise ValueError(f"the side of a marker must be {ARUCO_SIDE_MM[0]:g} to {ARUCO_SIDE_MM[1]:g} mm")
    return ReferenceObject(name, side_mm, side_mm, dictionary)


def check_reference_object(name: str) -> str:
    """Return `name` if it names a reference object; raise `ValueError` if it does not."""
    parse_reference_object(name)
    return name
