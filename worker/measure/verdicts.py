"""Whether each measurement can be built on, and why not.

A verdict is made for one measurement at a time, from what it needs (`MeasurementDefinition.needs`): a mask spoils the
chin and leaves the eyes, so a photo can do for goggles and not for a helmet. `_RULES` is the whole of it; the worst
status of the rules that apply is the measurement's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from shared.measurement_definition import Kind, MeasurementDefinition, Region
from shared.results import MeasurementStatus
from worker.measure.occlusion import COVERED, SURELY_COVERED

_OK, _UNRELIABLE, _NOT_MEASURABLE = (
    MeasurementStatus.OK,
    MeasurementStatus.UNRELIABLE,
    MeasurementStatus.NOT_MEASURABLE,
)
_SEVERITY: Final = {_OK: 0, _UNRELIABLE: 1, _NOT_MEASURABLE: 2}


@dataclass(frozen=True, slots=True)
class FaceFacts:
    """All that a verdict is made from, as plain values.

    Attributes
    ----------
    yaw_deg, pitch_deg : float
        How the head is turned.
    distance_mm : float or None
        From the camera to the eyes; None without a scale.
    scale_status : MeasurementStatus or None
        Of the ruler in use; None when there is none.
    scale_reasons : tuple of str
        Why it is not `ok`, or why there is none.
    eyes_open, mouth_open, smiling : bool
        As `worker.measure.expression` tells.
    forehead_covered, nose_covered, mouth_covered, chin_covered : float
        How surely, 0 to 1, as `worker.measure.occlusion` tells.
    glasses : float
        How surely a frame is there, 0 to 1.
    sunglasses : bool
        Whether the eyes cannot be seen.
    edge_slope : float
        How sharp the eyes are, as `worker.measure.quality.edge_slope` tells.
    outer_eye_distance_px : float
        Between the outer eye corners [px of the full photo].
    outside : frozenset of int
        Mesh points that lie outside the photo.
    """

    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    distance_mm: float | None = None
    scale_status: MeasurementStatus | None = None
    scale_reasons: tuple[str, ...] = ()
    eyes_open: bool = True
    mouth_open: bool = False
    smiling: bool = False
    forehead_covered: float = 0.0
    nose_covered: float = 0.0
    mouth_covered: float = 0.0
    chin_covered: float = 0.0
    glasses: float = 0.0
    sunglasses: bool = False
    edge_slope: float = 1.0
    outer_eye_distance_px: float = 200.0
    outside: frozenset[int] = frozenset()


class _Limits(NamedTuple):
    """From where on a measurement is unreliable, and not measurable at all."""

    unreliable: float
    not_measurable: float

    def above(self, value: float) -> MeasurementStatus:
        return self._ladder(value > self.unreliable, value > self.not_measurable)

    def below(self, value: float) -> MeasurementStatus:
        return self._ladder(value < self.unreliable, value < self.not_measurable)

    @staticmethod
    def _ladder(unreliable: bool, not_measurable: bool) -> MeasurementStatus:
        return _NOT_MEASURABLE if not_measurable else _UNRELIABLE if unreliable else _OK


_SMALL_PX: Final = _Limits(60, 30)
"""The mesh model sees every face at about 60 px between the outer eye corners (192 px for 1.5 times the face): a
smaller one is enlarged for it, and one of half that size is mostly guessed."""
_EDGE_SLOPE: Final = _Limits(0.20, 0.10)
"""London, fit half, blurred and detected anew: at 0.20 (a blur of 2 % of the eye distance) points have moved by 0.9
%, twice what moving the crop does, the mouth is 2 % too narrow and the iris scatters by 2.6 %; at 0.10 the mouth is 5
% too narrow and the pupils 1 to 2 % too far apart."""

_DEEP_NEAR_MM: Final = _Limits(220, 110)
"""The edge of the face that a camera sees is no longer the widest: of a round head (radius 75 mm, its axis 9 cm behind
the eyes) 3 % is hidden at 22 cm, 7 % at 11 cm. The correction Δz/Z for points 6 cm behind the eyes, with a focal length
that is assumed (30 % uncertain), is 9 % uncertain at 22 cm and 17 % at 11 cm: that is in `mm_sd`."""
_FLAT_NEAR_MM: Final = _Limits(150, 75)
"""For points within 2 cm of the plane of the eyes the same correction is 4 % uncertain at 15 cm."""
_DEEP: Final = frozenset((Region.SIDES, Region.FOREHEAD, Region.CHIN))


class _Turn(NamedTuple):
    yaw: _Limits
    pitch: _Limits


_TO_MIDLINE_TURN: Final = _Turn(_Limits(8, 15), _Limits(20, 35))
"""4° of error in yaw, the pose's own, cost a monocular distance 1 to 1.4 mm; turning adds the unequal sides."""
_LENGTH_TURN: Final = _Turn(_Limits(25, 40), _Limits(15, 25))
"""Lengths along the middle of the face change with pitch as widths do with yaw: face length by -8 to +6 % within 15°
before its correction. On turned renders it is then right on average (docs/adr/0010), and off by 3 % (mean size) at
40° of yaw."""
_TURN_OF: Final[Mapping[Region, _Turn]] = {
    # Renders detected anew, corrected on average (docs/adr/0010): at 20° five widths of six stay within 3 %, at 40° of
    # yaw half of them. The far side of the head then hides its own edge. The pose itself is 2 to 4° unsure.
    Region.SIDES: _Turn(_Limits(20, 40), _Limits(20, 35)),
    Region.FOREHEAD: _Turn(_Limits(20, 40), _Limits(20, 35)),
    # The chin's points slide along it with pitch, 6 to 9 % at 20°: corrected on average, and people differ.
    Region.CHIN: _Turn(_Limits(15, 30), _Limits(15, 30)),
    # At 30 to 40° the gap of the eyes and the mouth are off by 4 to 5 % (mean size); a wing of the nose hides.
    Region.EYES: _Turn(_Limits(20, 35), _Limits(20, 35)),
    Region.NOSE: _Turn(_Limits(20, 35), _Limits(20, 35)),
    Region.MOUTH: _Turn(_Limits(20, 35), _Limits(20, 35)),
}
_MIDLINE: Final = frozenset((10, 151, 9, 8, 168, 6, 1, 4, 2, 0, 13, 14, 17, 152))
_FIRST_IRIS_POINT: Final = 468


def _cropped(definition: MeasurementDefinition, facts: FaceFacts) -> MeasurementStatus:
    return _NOT_MEASURABLE if facts.outside.intersection(definition.landmarks) else _OK


def _too_small(facts: FaceFacts) -> MeasurementStatus:
    return _SMALL_PX.below(facts.outer_eye_distance_px)


def _blurred(facts: FaceFacts) -> MeasurementStatus:
    return _EDGE_SLOPE.below(facts.edge_slope)


def _too_close(definition: MeasurementDefinition, facts: FaceFacts) -> MeasurementStatus:
    if facts.distance_mm is None:
        return _OK
    limits = _DEEP_NEAR_MM if _DEEP.intersection(definition.needs) else _FLAT_NEAR_MM
    return limits.below(facts.distance_mm)


def _turned(definition: MeasurementDefinition, facts: FaceFacts) -> MeasurementStatus:
    turns = _turns_for(definition.kind, definition.landmarks, definition.needs)
    yaw, pitch = abs(facts.yaw_deg), abs(facts.pitch_deg)
    return _worst([status for turn in turns for status in (turn.yaw.above(yaw), turn.pitch.above(pitch))])


@cache
def _turns_for(kind: Kind, landmarks: tuple[int, ...], needs: tuple[Region, ...]) -> tuple[_Turn, ...]:
    if kind is Kind.TO_MIDLINE:
        return (_TO_MIDLINE_TURN,)
    if _MIDLINE.issuperset(landmarks):
        return (_LENGTH_TURN,)
    return tuple(_TURN_OF[region] for region in needs)


def _eyes_closed(definition: MeasurementDefinition, facts: FaceFacts) -> MeasurementStatus:
    """Without pupils nothing can be measured from them; corners of shut eyes are only less sure."""
    if facts.eyes_open or facts.sunglasses:
        return _OK
    return _NOT_MEASURABLE if max(definition.landmarks) >= _FIRST_IRIS_POINT else _UNRELIABLE


def _glasses(facts: FaceFacts) -> MeasurementStatus:
    """Dark lenses hide the eyes; clear ones shift them, by 6 % of their distance from the middle of a -4 D lens."""
    return _NOT_MEASURABLE if facts.sunglasses else _UNRELIABLE if facts.glasses >= COVERED else _OK


def _mouth_open(facts: FaceFacts) -> MeasurementStatus:
    return _UNRELIABLE if facts.mouth_open and facts.mouth_covered < COVERED else _OK


def _expression(facts: FaceFacts) -> MeasurementStatus:
    return _UNRELIABLE if facts.smiling and facts.mouth_covered < COVERED else _OK


_OfFace = Callable[[FaceFacts], MeasurementStatus]
_OfMeasurement = Callable[[MeasurementDefinition, FaceFacts], MeasurementStatus]


def _covered(sureness: Callable[[FaceFacts], float]) -> _OfFace:
    """Distrust what is covered.

    Behind a mask drawn over London faces and detected anew, the mouth's width scatters by 10 to 17 % and the face's
    length comes out 6 to 14 % short; distances between the eyes stay within 0.5 %.
    """

    def of_face(facts: FaceFacts) -> MeasurementStatus:
        sure = sureness(facts)
        return _NOT_MEASURABLE if sure >= SURELY_COVERED else _UNRELIABLE if sure >= COVERED else _OK

    return of_face


_EVERYWHERE: Final = frozenset(Region)


class _Rule(NamedTuple):
    """One reason: which measurements it concerns, by what they need, and how badly: all of them alike, or each."""

    reason: str
    regions: frozenset[Region]
    of_face: _OfFace | None = None
    of_measurement: _OfMeasurement | None = None


_RULES: Final = (
    _Rule("cropped", _EVERYWHERE, of_measurement=_cropped),
    _Rule("face_too_small", _EVERYWHERE, _too_small),
    _Rule("blurred", _EVERYWHERE, _blurred),
    _Rule("mouth_covered", frozenset((Region.MOUTH,)), _covered(lambda facts: facts.mouth_covered)),
    _Rule("chin_covered", frozenset((Region.CHIN,)), _covered(lambda facts: facts.chin_covered)),
    _Rule("nose_covered", frozenset((Region.NOSE,)), _covered(lambda facts: facts.nose_covered)),
    _Rule("forehead_covered", frozenset((Region.FOREHEAD,)), _covered(lambda facts: facts.forehead_covered)),
    _Rule("glasses", frozenset((Region.EYES,)), _glasses),
    _Rule("eyes_closed", frozenset((Region.EYES,)), of_measurement=_eyes_closed),
    _Rule("head_turned", _EVERYWHERE, of_measurement=_turned),
    _Rule("too_close", _EVERYWHERE, of_measurement=_too_close),
    _Rule("mouth_open", frozenset((Region.MOUTH, Region.CHIN)), _mouth_open),
    _Rule("expression", frozenset((Region.MOUTH, Region.CHIN, Region.NOSE)), _expression),
)


class Judge:
    """Judges the measurements of one face.

    Parameters
    ----------
    facts : FaceFacts
        The face in the photo. What they say of all measurements alike is found out once.
    """

    def __init__(self, facts: FaceFacts) -> None:
        self._facts = facts
        self._of_face = {rule.reason: rule.of_face(facts) for rule in _RULES if rule.of_face}

    def of(self, definition: MeasurementDefinition) -> tuple[MeasurementStatus, list[str]]:
        """Judge one measurement, as `judge` does."""
        scale = _NOT_MEASURABLE if self._facts.scale_status is None else self._facts.scale_status
        statuses, reasons = [scale], []
        for rule in _rules_concerning(definition.needs):
            of_all = self._of_face.get(rule.reason, _OK)
            status = rule.of_measurement(definition, self._facts) if rule.of_measurement else of_all
            if status is not _OK:
                statuses.append(status)
                reasons.append(rule.reason)
        if scale is not _OK:
            reasons.extend(self._facts.scale_reasons or ("scale_uncertain",))
        return _worst(statuses), list(dict.fromkeys(reasons))


def judge(definition: MeasurementDefinition, facts: FaceFacts) -> tuple[MeasurementStatus, list[str]]:
    """Judge one measurement of one face.

    Parameters
    ----------
    definition : MeasurementDefinition
        What is measured; its `needs` and its points decide which rules concern it.
    facts : FaceFacts
        The face in the photo.

    Returns
    -------
    status : MeasurementStatus
        The worst that any rule, or the scale, says. Without a scale there are no millimetres: `not_measurable`.
    reasons : list of str
        Every reason that holds, the scale's last; empty when `ok`.
    """
    return Judge(facts).of(definition)


@cache
def _rules_concerning(needs: tuple[Region, ...]) -> tuple[_Rule, ...]:
    return tuple(rule for rule in _RULES if rule.regions.intersection(needs))


def _worst(statuses: Iterable[MeasurementStatus]) -> MeasurementStatus:
    return max(statuses, key=_SEVERITY.__getitem__, default=_OK)
