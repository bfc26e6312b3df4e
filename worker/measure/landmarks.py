"""Names for the points of the face mesh that the measurements use.

Right and left are the subject's: the right eye is on the image's left. Indices are those of MediaPipe's face mesh
(its `canonical_face_model.obj` and `face_mesh_connections.py`), whose attention model adds ten iris points.
"""

from __future__ import annotations

from typing import Final

CANONICAL_POINTS: Final = 468
"""Points on the skin, 0 to 467; the iris rings follow."""

MESH_POINTS: Final = 478
"""All points: the canonical ones, then five for each iris."""

RIGHT_EYE_OUTER: Final = 33
"""Outer corner of the eye (exocanthion)."""
LEFT_EYE_OUTER: Final = 263

RIGHT_EYE_INNER: Final = 133
"""Inner corner of the eye (endocanthion)."""
LEFT_EYE_INNER: Final = 362

NOSE_TIP: Final = 1

UPPER_LIP_INNER: Final = 13
"""Midpoint of the upper lip's inner edge."""
LOWER_LIP_INNER: Final = 14
"""Midpoint of the lower lip's inner edge."""
