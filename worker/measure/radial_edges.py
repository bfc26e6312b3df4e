"""Edges across rays: where, near a circle, what lies outside is brighter than what lies inside by most.

The operator of Daugman 1993 (doi:10.1109/34.244676), ray by ray: a box of samples beyond a place less a box before it.
Lengths along rays are in units of the circle's radius. Every array has a row for each ray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

STEP: Final = 0.025
"""From one sample of a ray to the next."""
_BOX: Final = 6
"""Steps in each of the two boxes beside an edge: 0.15 radii, 0.9 mm, about the width of a soft limbus."""
_HALF_BOX: Final = _BOX // 2
_ON_AND_BESIDE: Final = np.array([[0], [-1], [1], [-_HALF_BOX], [_HALF_BOX]])
"""Where the operator is read: on a peak, on both sides of it for its shape, and half a box off for its fall."""


class Search(NamedTuple):
    """How far from the circle an edge is looked for, and what must be read of each ray for it.

    Attributes
    ----------
    reach : int
        Steps that the edge may lie off the circle.
    middle : int
        How many places the operator is asked at on either side of the circle.
    radii : ndarray of float64, shape (samples,)
        Where each ray is sampled.
    boxes : ndarray of float64, shape (samples, places)
        Takes the samples to the sum of the box beyond each place less that of the box before it.
    """

    reach: int
    middle: int
    radii: Floats
    boxes: Floats

    @classmethod
    def within(cls, reach: int) -> Search:
        """Look for edges at most `reach` steps off the circle."""
        middle = reach - 1 + _HALF_BOX  # the outermost peak, and half a box off it
        steps = np.arange(-middle - _BOX, middle + _BOX + 1)
        beyond = steps[:, np.newaxis] - np.arange(-middle, middle + 1)
        boxes = np.where(np.abs(beyond) <= _BOX, np.sign(beyond), 0).astype(np.float64)
        return cls(reach, middle, np.asarray(1 + STEP * steps, dtype=np.float64), boxes)


class Peaks(NamedTuple):
    """The strongest edge of each row.

    Attributes
    ----------
    radius : ndarray of float64
        Where it is: the top of the parabola through the three highest places.
    contrast : ndarray of float64
        How much brighter the box beyond is than the box before; 0 where the strongest is no peak.
    fall : ndarray of float64
        How much less the operator is half a box off, as a share of the contrast.
    """

    radius: Floats
    contrast: Floats
    fall: Floats


def find_peaks(samples: Floats, search: Search) -> Peaks:
    """Find the strongest edge of each row.

    Parameters
    ----------
    samples : ndarray of float64, shape (rows, samples)
        The picture at `search.radii`.
    search : Search
        How far to look.

    Returns
    -------
    Peaks
        Arrays of shape (rows,).
    """
    reach, middle = search.reach, search.middle
    edges = samples @ search.boxes
    edges /= _BOX
    at = edges[:, middle - reach : middle + reach + 1].argmax(axis=1)
    at = np.minimum(np.maximum(at, 1), 2 * reach - 1)
    at += middle - reach
    first_places = np.arange(len(edges)) * edges.shape[1]
    here, before, after, inside, outside = edges.take(first_places + at + _ON_AND_BESIDE)
    bend = before + after - 2 * here
    is_peak = (here > 0) & (here >= before) & (here >= after) & (bend < 0)
    shift = np.where(is_peak, (before - after) / np.where(is_peak, 2 * bend, 1), 0)
    fall = 1 - (inside + outside) / 2 / np.where(is_peak, here, 1)
    return Peaks(1 + STEP * (at - middle + shift), np.where(is_peak, here, 0), fall)


class LowerMedians:
    """The lower median of the used values of each row; for several sets of values of which the same are used.

    Parameters
    ----------
    used : ndarray of bool, shape (rows, values)
        Which of each row count.
    """

    def __init__(self, used: Flags) -> None:
        counts = used.sum(axis=1)
        self._unused = np.where(used, 0.0, np.inf)
        self._places = np.arange(len(used)) * used.shape[1] + np.maximum(counts - 1, 0) // 2
        self._any = counts > 0

    def of(self, values: Floats) -> Floats:
        """Take the median of each row of finite values; 0 where none is used."""
        ordered = values + self._unused
        ordered.sort(axis=1)
        return np.where(self._any, ordered.take(self._places), 0)
