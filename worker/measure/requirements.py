"""Whether a face came out as well as the client asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.results import MeasurementStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def unmet_requirements(
    measurements: Mapping[str, Mapping[str, Any]], required: Sequence[str], max_mm_sd: float | None
) -> list[str]:
    """Return a sentence for each required measurement that is not good enough.

    Parameters
    ----------
    measurements : mapping
        Of one face, by key, each as `shared.results.MeasurementValue`.
    required : sequence of str
        Keys that must come out `ok`.
    max_mm_sd : float, optional
        The largest standard deviation they may have [mm].

    Returns
    -------
    list of str
        In the order of `required`; empty when all is well.
    """
    sentences = []
    for key in required:
        measured = measurements[key]
        if measured["status"] != MeasurementStatus.OK:
            reasons = ", ".join(measured["reasons"])
            sentences.append(f"{key} is {measured['status'].replace('_', ' ')}" + (f" ({reasons})" if reasons else ""))
        elif max_mm_sd is not None and measured["mm_sd"] > max_mm_sd:
            sentences.append(f"{key} is known to ± {measured['mm_sd']:.2f} mm, not to {max_mm_sd:g}")
    return sentences
