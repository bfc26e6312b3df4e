"""The overlay of a measured photo: the mesh and the measured lines on the photo, and beside it what they say."""

from __future__ import annotations

import base64
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from api.overlay_face import draw_face
from api.overlay_legend import draw_legend

SVG_TYPE: Final = "image/svg+xml"
CONTENT_SECURITY_POLICY: Final = "default-src 'none'; img-src data:"

_GROUND: Final = "#14181e"
_NO_PHOTO: Final = "#20242b"
_TEXT_SHARE: Final = 1 / 52
"""Height of text, as a share of the height of the photo, or of half its width where it is a wide one."""


def draw_overlay(result: dict[str, Any], preview_jpeg: bytes | None, *, legend: bool = True) -> str:
    """Draw a result as SVG.

    Parameters
    ----------
    result : dict
        As `shared.results.JobResult`, with landmarks.
    preview_jpeg : bytes, optional
        A small copy of the photo without metadata; it is stretched to the size of the photo.
    legend : bool
        Whether a panel for each face stands to the right of the photo, with names, values and a close-up.

    Returns
    -------
    str
        An SVG whose user units are the pixels of the full upright photo, which has its origin at (0, 0).
    """
    width, height = result["image"]["width"], result["image"]["height"]
    faces = result["faces"]
    drawn = [draw_face(number, face, named=len(faces) > 1) for number, face in enumerate(faces, start=1)]
    scene = [f'<rect width="{width}" height="{height}" fill="{_NO_PHOTO}"/>']
    if preview_jpeg is not None:
        source = quoteattr("data:image/jpeg;base64," + base64.b64encode(preview_jpeg).decode())
        scene.append(f'<image href={source} width="{width}" height="{height}" preserveAspectRatio="none"/>')
    scene += [part for face in drawn for part in face.parts]

    panels: list[str] = []
    right, bottom = float(width), float(height)
    if legend:
        text = max(height, width / 2) * _TEXT_SHARE
        for number, (face, shape) in enumerate(zip(faces, drawn, strict=True), start=1):
            panel = draw_legend(number, face, shape, left=right, text=text)
            panels += panel.parts
            right, bottom = panel.right, max(bottom, panel.bottom)
    namespace = 'xmlns="http://www.w3.org/2000/svg"'
    return "\n".join(
        [
            f'<svg {namespace} viewBox="0 0 {right:.8g} {bottom:.8g}" font-family="system-ui, sans-serif">',
            f"<title>Measured faces: {len(faces)}</title>",
            f'<rect width="100%" height="100%" fill="{_GROUND}"/>',
            '<g id="scene">',
            *scene,
            "</g>",
            *panels,
            "</svg>",
            "",
        ]
    )
