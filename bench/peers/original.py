"""The synchronous service that this one replaces, rebuilt: Flask, one image a request, decoded in full, one face.

As it was shipped it built a mesh for each request; at its best it keeps one for each process.
"""

from __future__ import annotations

import math
from typing import Any, Final

import cv2
import mediapipe as mp
import numpy as np
from flask import Flask, jsonify, request

POINTS: Final = 468
WIDTHS: Final = {"forehead_width_px": (54, 284), "eye_gap_px": (133, 362), "chin_width_px": (176, 400)}


def create_app(*, mesh_per_request: bool) -> Flask:
    """Make the application that gunicorn serves."""
    app = Flask(__name__)
    kept = None if mesh_per_request else _mesh()

    @app.get("/healthz")
    def health() -> str:
        return "ok"

    @app.post("/face-coordinates")
    def face_coordinates() -> Any:
        data = np.frombuffer(request.files["image"].read(), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        if picture is None:
            return jsonify(error="not an image"), 400
        pixels = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        if kept is not None:
            found = kept.process(pixels)
        else:
            with _mesh() as mesh:
                found = mesh.process(pixels)
        if not found.multi_face_landmarks:
            return jsonify(error="no face"), 422
        height, width = pixels.shape[:2]
        return jsonify(_answer(found.multi_face_landmarks[0].landmark, width, height))

    return app


def _mesh() -> Any:
    return mp.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1)


def _answer(landmarks: Any, width: int, height: int) -> dict[str, Any]:
    points = [(int(point.x * width), int(point.y * height)) for point in landmarks[:POINTS]]
    return {
        "landmarks": [{"id": number, "x": x, "y": y} for number, (x, y) in enumerate(points)],
        "measurements": {name: int(math.dist(points[a], points[b])) for name, (a, b) in WIDTHS.items()},
    }
