"""Which part of a measurement's uncertainty differs by chance from one photo to the next.

Only that part spreads the values of many people, so only that may be taken out of their spread again. The terms are
those of `worker/measure/uncertainty.py`:

- By chance: the ruler (the size of that person's irises, how it was read), the mesh's jitter, where the mesh puts its
  points on that person, and what the turn of that head did to them.
- Not so: what perspective adds. Photos of one camera share its focal length, and the share of the perspective that the
  mesh follows is one unknown number for each measurement. They move all values alike.
- The distance of a pupil from the middle plane has no such part; beside the above, it is uncertain by the pose.
"""

from __future__ import annotations

from shared.measurement_definition import Kind, MeasurementDefinition


def chance_variance_mm2(
    definition: MeasurementDefinition, mm: float, mm_sd: float, scale_sd_share: float, turn_sd_share: float = 0.0
) -> float:
    """Return the square of the part of `mm_sd` that differs by chance from photo to photo.

    Parameters
    ----------
    definition : MeasurementDefinition
        What was measured.
    mm, mm_sd : float
        The length, and one standard deviation of it [mm].
    scale_sd_share : float
        One standard deviation of the scale, as a share of the scale.
    turn_sd_share : float
        One standard deviation of what the turn of the head did, as a share of the length.

    Returns
    -------
    float
        A variance [mm²], no more than that of `mm_sd`.
    """
    whole = mm_sd**2
    if definition.kind is Kind.TO_MIDLINE:
        return whole
    shares = (scale_sd_share, definition.repeatability.high, definition.definition_sd, turn_sd_share)
    return min(whole, mm**2 * sum(share**2 for share in shares))
