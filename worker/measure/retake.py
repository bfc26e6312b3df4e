"""What a person can do better with the next photo: one sentence for each reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from shared.results import RetakeHint

_HINTS: Final[Mapping[str, str]] = {
    "cropped": "Step back until the whole head is in the picture, with some room around it.",
    "face_too_small": "Come closer: the face should fill about half of the picture's height.",
    "mouth_covered": "Take off mask or scarf, and keep hands away from the mouth.",
    "chin_covered": "Uncover the chin: no mask, scarf or hand. Under a full beard it cannot be measured.",
    "nose_covered": "Uncover the nose.",
    "forehead_covered": "Take off hat or cap, and hold the hair back from the forehead.",
    "glasses": "Take off your glasses.",
    "eyes_closed": "Open both eyes.",
    "head_turned": "Hold the phone at eye height and look straight into the camera.",
    "too_close": "Hold the camera at arm's length or further; 50 cm is good.",
    "blurred": "Hold the camera still, wipe its lens, and let it focus on the eyes.",
    "mouth_open": "Close your mouth, teeth together, lips touching.",
    "expression": "Keep a relaxed face and do not smile.",
    "exposure": "Face a window or a lamp, without bright light behind you.",
    "scale_uncertain": "Hold a bank card flat against the forehead, or give the pupillary distance, for a surer scale.",
}
"""What a person can do, the most important first."""
_POOR_EXPOSURE: Final = 50
"""Score of the exposure under which better light is advised; it is no reason to distrust a measurement by itself."""


def retake_hints(reasons: Iterable[str], components: Mapping[str, int | None] | None = None) -> list[RetakeHint]:
    """Say what a person could do better with the next photo.

    Parameters
    ----------
    reasons : iterable of str
        Those of all measurements; repeated ones count once.
    components : mapping of str to int or None, optional
        Of the quality; poor light is advised upon though it is no reason.

    Returns
    -------
    list of RetakeHint
        One for each problem, the most important first; empty when nothing is amiss.
    """
    problems = set(reasons)
    exposure = components.get("exposure") if components else None
    if exposure is not None and exposure < _POOR_EXPOSURE:
        problems.add("exposure")
    if "mouth_covered" in problems:
        problems.discard("chin_covered")  # one thing covers both, and one sentence says so
    return [RetakeHint(code=code, message=message) for code, message in _HINTS.items() if code in problems]
