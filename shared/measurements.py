"""The registry of measurements: what each is, between which points, and how far it can be trusted.

Plain data, the one source for the worker that measures and for the API that explains (`GET /v1/measurements`).
A new measurement is one more entry in `DEFINITIONS`, and a new `DEFINITIONS_VERSION`.
"""

from __future__ import annotations

from typing import Final

from shared.measurement_definition import Kind, KnownError, MeasurementDefinition, Region, Repeatability
from shared.turn_correction import TurnCorrection

DEFINITIONS_VERSION: Final = "2026-11.4"
"""Changes with every change to an entry; each result names the version it was measured by."""

_MESH = "Points of the MediaPipe face mesh (attention model, 478 points)"
_MESH_AGAINST_HAND = (
    f"{_MESH}. Error: against points placed by hand on public photos (Face Research Lab London Set, DeBruine & Jones"
    " 2017, doi:10.6084/m9.figshare.5047666, and others)"
)
_PALPATED = " The standards palpate bone with calipers; this is a point of the skin's outline, a proxy."
_STEADY = Repeatability(low=0.0035, high=0.005)
"""Biocular, face, forehead and jaw widths."""
_LESS_STEADY = Repeatability(low=0.008, high=0.010)
"""Chin, nose, mouth and canthi."""
_PUPILS_TURN: Final = TurnCorrection(pitch=0.019, yaw_and_pitch=0.139, yaw_sd=0.042)
# Every `turn` is what `python -m bench.turn_correction` set on renders of 16 people's heads; see docs/adr/0010.

DEFINITIONS: Final = (
    MeasurementDefinition(
        key="forehead_width",
        term="forehead breadth at the hairline side",
        landmarks=(54, 284),
        kind=Kind.WIDTH,
        source=_MESH_AGAINST_HAND,
        stands_for="Forehead breadth at the side of the hairline. Not 10-338: that is one edge of the mesh beside the"
        " midline, and no width.",
        known_error=KnownError(ratio_mean=0.984, ratio_sd=0.041),
        repeatability=_STEADY,
        needs=(Region.FOREHEAD,),
        turn=TurnCorrection(yaw=0.057, pitch=-0.038, yaw_and_pitch=0.041, yaw_sd=0.041, pitch_sd=0.035),
    ),
    MeasurementDefinition(
        key="eye_gap",
        term="intercanthal distance (endocanthion-endocanthion)",
        landmarks=(133, 362),
        kind=Kind.WIDTH,
        source=_MESH_AGAINST_HAND,
        stands_for="Distance between the inner corners of the eyes. Not 155-382: those points lie on the eyelids.",
        known_error=KnownError(ratio_mean=0.975, ratio_sd=0.037),
        repeatability=_LESS_STEADY,
        needs=(Region.EYES,),
        turn=TurnCorrection(yaw=0.211, pitch=0.024, yaw_and_pitch=0.310, yaw_sd=0.082, pitch_sd=0.064),
    ),
    MeasurementDefinition(
        key="chin_width",
        term="chin breadth",
        landmarks=(176, 400),
        kind=Kind.WIDTH,
        source=_MESH_AGAINST_HAND,
        stands_for="Breadth of the chin. Not 152-377: that is one edge of the mesh; nor 172-397: that is the width of"
        " the jaw.",
        known_error=KnownError(ratio_mean=1.055, ratio_sd=0.1),
        repeatability=_LESS_STEADY,
        needs=(Region.CHIN,),
        turn=TurnCorrection(pitch=0.220, yaw_and_pitch=-0.245, yaw_sd=0.042, pitch_sd=0.076),
    ),
    MeasurementDefinition(
        key="interpupillary_distance",
        term="interpupillary distance, as photographed",
        landmarks=(468, 473),
        kind=Kind.WIDTH,
        source=_MESH_AGAINST_HAND,
        stands_for="Distance between the pupil centres in the photo. For a gaze at the camera it lies between the PD"
        " for far gaze and the near PD of that distance, which opticians tell in the plane of the lenses.",
        known_error=KnownError(ratio_mean=1.003, ratio_sd=0.008),
        repeatability=_STEADY,
        needs=(Region.EYES,),
        turn=_PUPILS_TURN,
    ),
    MeasurementDefinition(
        key="distance_pd",
        term="interpupillary distance for far gaze",
        landmarks=(468, 473),
        kind=Kind.FAR_GAZE,
        source=_MESH_AGAINST_HAND,
        stands_for="What an optician writes down as distance PD, if the person looked at the camera.",
        known_error=KnownError(ratio_mean=1.003, ratio_sd=0.008),
        repeatability=_STEADY,
        needs=(Region.EYES,),
        turn=_PUPILS_TURN,
    ),
    MeasurementDefinition(
        key="monocular_pd_right",
        term="monocular interpupillary distance, right eye",
        landmarks=(468, 168, 6),
        kind=Kind.TO_MIDLINE,
        source=_MESH,
        stands_for="From the right pupil to the middle of the bridge, for centring lenses. 4° of error in yaw cost 1 to"
        " 1.4 mm.",
        known_error=None,
        repeatability=_LESS_STEADY,
        needs=(Region.EYES,),
    ),
    MeasurementDefinition(
        key="monocular_pd_left",
        term="monocular interpupillary distance, left eye",
        landmarks=(473, 168, 6),
        kind=Kind.TO_MIDLINE,
        source=_MESH,
        stands_for="From the left pupil to the middle of the bridge, for centring lenses. 4° of error in yaw cost 1 to"
        " 1.4 mm.",
        known_error=None,
        repeatability=_LESS_STEADY,
        needs=(Region.EYES,),
    ),
    MeasurementDefinition(
        key="biocular_width",
        term="biocular breadth (exocanthion-exocanthion)",
        landmarks=(33, 263),
        kind=Kind.WIDTH,
        source=_MESH_AGAINST_HAND,
        stands_for="Distance between the outer corners of the eyes.",
        known_error=KnownError(ratio_mean=1.009, ratio_sd=0.026),
        repeatability=_STEADY,
        needs=(Region.EYES,),
        turn=TurnCorrection(yaw_and_pitch=0.261, yaw_sd=0.047, pitch_sd=0.018),
    ),
    MeasurementDefinition(
        key="face_width",
        term="face breadth at the ears' front edge",
        landmarks=(234, 454),
        kind=Kind.WIDTH,
        source=_MESH_AGAINST_HAND,
        stands_for="Width of the face at the front edge of the ears, about 6 cm behind the eyes. Not validated as"
        " bizygomatic breadth." + _PALPATED,
        known_error=KnownError(ratio_mean=0.997, ratio_sd=0.018),
        repeatability=_STEADY,
        needs=(Region.SIDES,),
        turn=TurnCorrection(yaw=-0.044, pitch=0.043, yaw_sd=0.031, pitch_sd=0.033),
    ),
    MeasurementDefinition(
        key="temple_width",
        term="bitemporal breadth",
        landmarks=(21, 251),
        kind=Kind.WIDTH,
        source=_MESH_AGAINST_HAND,
        stands_for="Width at the temples." + _PALPATED,
        known_error=KnownError(ratio_mean=0.983, ratio_sd=0.019),
        repeatability=_STEADY,
        needs=(
            Region.FOREHEAD,
            Region.SIDES,
        ),
        turn=TurnCorrection(yaw=0.079, yaw_sd=0.039, pitch_sd=0.033),
    ),
    MeasurementDefinition(
        key="face_edge_breadth",
        term="breadth of the widest visible edge of the face",
        landmarks=(127, 356),
        kind=Kind.WIDTH,
        source=_MESH_AGAINST_HAND,
        stands_for="The widest edge of the face that a camera in front sees. Not head breadth, which hair and ears"
        " hide.",
        known_error=KnownError(ratio_mean=0.996, ratio_sd=0.018),
        repeatability=_STEADY,
        needs=(Region.SIDES,),
        turn=TurnCorrection(pitch=0.028, yaw_sd=0.029, pitch_sd=0.033),
    ),
    MeasurementDefinition(
        key="jaw_width",
        term="bigonial breadth",
        landmarks=(172, 397),
        kind=Kind.WIDTH,
        source=_MESH_AGAINST_HAND,
        stands_for="Width of the jaw." + _PALPATED,
        known_error=KnownError(ratio_mean=0.999, ratio_sd=0.057),
        repeatability=_STEADY,
        needs=(Region.CHIN,),
        turn=TurnCorrection(pitch=0.085, yaw_sd=0.038, pitch_sd=0.054),
    ),
    MeasurementDefinition(
        key="face_length",
        term="sellion-menton length",
        landmarks=(168, 152),
        kind=Kind.WIDTH,
        source=f"{_MESH}. Spread: against the middle of points beside the root of the nose and the chin point, placed"
        " by hand on 16 photos of the Face Research Lab London Set; nobody placed the sellion",
        stands_for="From the root of the nose to the chin. Point 152 sits about 3 mm above the true menton; point 10 is"
        " not the hairline.",
        known_error=KnownError(ratio_mean=None, ratio_sd=0.023),
        repeatability=_LESS_STEADY,
        needs=(Region.CHIN,),
        turn=TurnCorrection(yaw=-0.146, pitch=-0.028, yaw_sd=0.041),
    ),
    MeasurementDefinition(
        key="nose_breadth",
        term="nasal breadth (alare-alare)",
        landmarks=(64, 294),
        kind=Kind.WIDTH,
        source=_MESH_AGAINST_HAND,
        stands_for="Width of the nose at the wings.",
        known_error=KnownError(ratio_mean=1.005, ratio_sd=0.07),
        repeatability=_LESS_STEADY,
        needs=(Region.NOSE,),
        turn=TurnCorrection(pitch=0.041, yaw_sd=0.083, pitch_sd=0.092),
    ),
    MeasurementDefinition(
        key="mouth_width",
        term="mouth breadth (cheilion-cheilion)",
        landmarks=(61, 291),
        kind=Kind.WIDTH,
        source=_MESH_AGAINST_HAND,
        stands_for="Distance between the corners of the closed mouth.",
        known_error=KnownError(ratio_mean=0.977, ratio_sd=0.039),
        repeatability=_LESS_STEADY,
        needs=(Region.MOUTH,),
        turn=TurnCorrection(pitch=0.048, yaw_and_pitch=0.307, yaw_sd=0.109, pitch_sd=0.087),
    ),
)
"""Every measurement, in the order in which they are shown."""
