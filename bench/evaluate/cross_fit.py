"""Coverage with constants that the judged people had no part in.

The registry's bias and spread of a measurement may have been set on the very people who are evaluated (the London
set's are). So they are set anew on one half of the people here and judged on the other: the result's `mm` and the
image part of its SD are taken back to before the registry's constants, and given those of the other half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from bench.evaluate.samples import Sample
from bench.statistics import summarise

FEWEST: Final = 3
"""With fewer people in the other half nothing can be set."""


def refitted(samples: Sequence[Sample], judged: set[str], fitted: set[str]) -> list[Sample]:
    """Give the samples of the judged people the bias and definition SD of the fitted ones.

    Parameters
    ----------
    samples : sequence of Sample
        Of everyone, with truths in mm.
    judged, fitted : set of str
        People; both sets may not share one.

    Returns
    -------
    list of Sample
        Of the judged people; measurements that fewer than three of the fitted have are left out.

    Raises
    ------
    ValueError
        If someone is in both sets.
    """
    if judged & fitted:
        raise ValueError(f"both fitted and judged: {', '.join(sorted(judged & fitted))}")
    refitted_samples = []
    for sample in samples:
        ratios = [s.ratio for s in samples if s.key == sample.key and s.person in fitted]
        if sample.person in judged and len(ratios) >= FEWEST:
            refitted_samples.append(_with_constants(sample, ratios))
    return refitted_samples


def _with_constants(sample: Sample, ratios: list[float]) -> Sample:
    if sample.mm is None or sample.image_sd_mm is None or sample.truth_mm is None:
        raise ValueError(f"{sample.key} of {sample.person} has no millimetres")
    of_fitted = summarise(ratios)
    mm = sample.mm * sample.bias / of_fitted.mean
    without_definition = (sample.image_sd_mm / sample.mm) ** 2 - sample.definition_sd**2
    if without_definition <= 0:
        raise ValueError(f"mm_sd of {sample.key} is smaller than the definition's part of it")
    fraction = np.sqrt(without_definition + (of_fitted.sd / of_fitted.mean) ** 2)
    return replace(sample, mm=mm, image_sd_mm=float(fraction * mm), bias=of_fitted.mean)
