"""The mean face: what an unknown face looks like before it is turned.

`mean_face.csv` is the mesh network's own answer, averaged over 16 frontal portraits (the fit half of the Face Research
Lab London Set, DeBruine & Jones 2017, doi:10.6084/m9.figshare.5047666, CC BY 4.0) and their mirror images; rebuilt by
`python -m bench.geometry --data DIR --rebuild`. Its x and y are scaled by the iris (12.2 mm for the mesh's diameter),
its z is the network's, not corrected by `shared.mesh_depth.DEPTH_GAIN`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEAN_FACE_FILE: Final = Path(__file__).with_name("mean_face.csv")


@cache
def mean_face() -> NDArray[np.float64]:
    """Read the mean face.

    Returns
    -------
    ndarray of float64, shape (478, 3), read-only
        Millimetres: x to the subject's left, y down, z backwards into the head, from midway between the iris centres.
        Symmetric about x = 0, so yaw and roll are 0 by construction. Pitch 0 is the mean of those 16 people (SD 4.3°),
        who had been asked to look straight into the camera; Google's reference face at rest looks down by 1.3° from it.
    """
    points = np.loadtxt(MEAN_FACE_FILE, delimiter=",")
    points.flags.writeable = False
    return points


@cache
def mirror_points() -> NDArray[np.intp]:
    """Find, for each point of the mesh, the one on the other side of the face.

    Returns
    -------
    ndarray of int, shape (478,), read-only
        Its own inverse; points on the midline stay where they are.
    """
    face = mean_face()
    distances = np.linalg.norm(face[:, np.newaxis] - face * (-1, 1, 1), axis=2)
    partners: NDArray[np.intp] = distances.argmin(axis=1)
    partners.flags.writeable = False
    return partners
