"""The only door to mediapipe: pixels in, detections and face meshes out.

The graphs are made of the parts behind `mediapipe.solutions.face_mesh`, in static mode with the attention model, cut
where the detector hands its regions to the mesh model: `FaceMesh.detect` gives the same landmarks to the last bit, and
between the two a caller can look closer, or choose the region itself. They are driven through mediapipe's own
`SolutionBase` on the calling thread, with one inference thread: a worker scales by processes, and idle pools cost CPU
(OpenCV inside mediapipe would start threads only for crops larger than 256 x 256; the models read at most 192 x 192).

What a graph raises is a bug and stays a `RuntimeError`, but the broken graph is replaced, since it would fail every
photo that follows.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from functools import cache
from importlib import metadata
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from worker.vision.faces import Detection, MeshFace, Region, largest_first
from worker.vision.graphs import DETECTOR_GRAPH, MESH_GRAPH, AnswersByName, DetectionRange
from worker.vision.landmark_list import coordinates
from worker.vision.quiet import quiet_stderr

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ENGINE", "MAX_FACES", "FaceMesh", "MeshFace", "engine_version", "preload"]

ENGINE: Final = "mediapipe-face-mesh"

MAX_FACES: Final = 10
"""Always asked for: the graph drops faces in no useful order, so cutting to fewer comes after sorting."""

MIN_SCORES: Final = {DetectionRange.SHORT: 0.5, DetectionRange.FULL: 0.3}
MIN_MESH_CONFIDENCE: Final = 0.5
"""The short-range detector's and the mesh model's are the defaults of `mediapipe.solutions.face_mesh.FaceMesh`; what
the full-range detector finds is checked by whoever asks, so it may guess."""

_OPTIONS: Final = (
    "calculators.core.clip_vector_size_calculator",
    "calculators.core.constant_side_packet_calculator",
    "calculators.core.split_vector_calculator",
    "calculators.tensor.image_to_tensor_calculator",
    "calculators.tensor.tensors_to_floats_calculator",
    "calculators.tensor.tensors_to_landmarks_calculator",
    "calculators.util.association_calculator",
    "calculators.util.detections_to_rects_calculator",
    "calculators.util.landmarks_refinement_calculator",
    "calculators.util.non_max_suppression_calculator",
    "calculators.util.rect_transformation_calculator",
    "calculators.util.thresholding_calculator",
    "framework.tool.switch_container",
)
"""What the parts of the graphs are told. Graphs go to mediapipe as text, and what is not imported is not in it."""

_RGB_CHANNELS: Final = 3
_FIRST_PICTURE_PX: Final = 64


@cache
def engine_version() -> str:
    """Tell which mediapipe is installed, without importing it."""
    return metadata.version("mediapipe")


def preload() -> None:
    """Import mediapipe without building a graph, so that processes forked later find it imported.

    Meant for the parent of the worker's processes. mediapipe starts no thread of its own until a graph is built, so
    forking afterwards is safe.

    Notes
    -----
    `mediapipe/__init__.py` imports every solution and every task, matplotlib among them: 0.85 s of CPU and 71 MB, where
    the parts used here take 0.15 s and 22 MB, and a font cache in the home directory. So the package is made without
    running that; its parts are imported as ever.
    """
    if "mediapipe.python.solution_base" in sys.modules:
        return
    if spec := find_spec("mediapipe"):
        sys.modules.setdefault("mediapipe", module_from_spec(spec))
    with warnings.catch_warnings():
        # protobuf 4's types are deprecated for Python 3.14, where mediapipe 0.10.21 does not install anyway.
        warnings.filterwarnings("ignore", r"Type google\._upb", DeprecationWarning)
        importlib.import_module("mediapipe.python.solution_base")


class FaceMesh:
    """The face mesh of one process; built after fork, used by one thread, a context manager.

    A graph does not survive a fork (it hangs) and is not for sharing between threads. The full-range detector is built
    when it is first asked for: that takes 30 ms and 14 MB once, and most photos never need it.
    """

    def __init__(self) -> None:
        self._process_id = os.getpid()
        self._closed = False
        self._graphs: dict[str, Any] = {}
        self._graph(DetectionRange.SHORT)
        self._graph(MESH_GRAPH)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the graphs; closing twice does nothing."""
        self._closed = True
        while self._graphs:
            self._graphs.popitem()[1].close()

    def detect(self, pixels: NDArray[np.uint8]) -> list[MeshFace]:
        """Find up to ten faces and their meshes, in one picture that has nothing to do with the one before.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (height, width, 3)
            The upright picture, RGB, C-contiguous.

        Returns
        -------
        list of MeshFace
            Sorted by `largest_first`. Empty when no face is found.

        Raises
        ------
        ValueError
            If `pixels` is anything else.
        RuntimeError
            If a graph fails, or this object was built in another process or is closed.
        """
        faces = [
            MeshFace(landmarks, detection.score, detection.region)
            for detection in self.find(pixels, DetectionRange.SHORT)
            if detection.distinct and (landmarks := self.mesh(pixels, detection.region)) is not None
        ]
        return sorted(faces, key=largest_first)

    def find(self, pixels: NDArray[np.uint8], detection_range: DetectionRange) -> list[Detection]:
        """Find up to ten faces by one of the detectors, without their meshes.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (height, width, 3)
            As for `detect`.
        detection_range : DetectionRange
            Which detector looks.

        Returns
        -------
        list of Detection
            Those that reach `MIN_SCORES`, in the detector's order.

        Raises
        ------
        ValueError, RuntimeError
            As for `detect`.
        """
        _check_pixels(pixels)
        found = self._run(detection_range, pixels)
        height, width = pixels.shape[:2]
        distinct = {rect.SerializeToString() for rect in found.get("distinct_regions") or ()}
        return [
            Detection(
                score=float(detection.score[0]),
                keypoints=np.array([(at.x, at.y) for at in detection.location_data.relative_keypoints])
                * (width, height),
                width_px=detection.location_data.relative_bounding_box.width * width,
                region=Region(
                    rect.x_center * width,
                    rect.y_center * height,
                    rect.width * width,
                    rect.height * height,
                    rect.rotation,
                ),
                distinct=rect.SerializeToString() in distinct,
            )
            for detection, rect in zip(found.get("detections") or (), found.get("regions") or (), strict=True)
        ]

    def mesh(self, pixels: NDArray[np.uint8], region: Region) -> NDArray[np.float64] | None:
        """Fit the mesh to a face whose place is known.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (height, width, 3)
            As for `detect`.
        region : Region
            Where the face is; parts of it may lie outside the picture, and it may be turned by any angle.

        Returns
        -------
        ndarray of float64, shape (478, 3), read-only, or None
            The landmarks as in `MeshFace`; None where the mesh model sees no face.

        Raises
        ------
        ValueError, RuntimeError
            As for `detect`.
        """
        _check_pixels(pixels)
        height, width = pixels.shape[:2]
        found = self._run(MESH_GRAPH, pixels, region=_rect(region, width, height)).get("landmarks")
        if found is None:
            return None
        landmarks: NDArray[np.float64] = coordinates(found) * (width, height, width)
        landmarks.flags.writeable = False
        return landmarks

    def _graph(self, name: str) -> Any:
        if name not in self._graphs:
            self._graphs[name] = _start_graph(name)
        return self._graphs[name]

    def _run(self, name: str, pixels: NDArray[np.uint8], **inputs: Any) -> Any:
        if self._process_id != os.getpid():
            raise RuntimeError("this face mesh was built before the fork; build one in each process")
        if self._closed:
            raise RuntimeError("this face mesh is closed")
        graph = self._graph(name)
        read_only = pixels.view()
        read_only.flags.writeable = False  # mediapipe copies what can still change: 25 ms for 12 megapixels
        try:
            return graph.process({"image": read_only, **inputs})
        except (RuntimeError, ValueError) as exc:
            self._graphs[name] = _start_graph(name)
            raise RuntimeError(f"the face mesh failed on a picture of shape {pixels.shape}") from exc


def _check_pixels(pixels: NDArray[np.uint8]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != _RGB_CHANNELS or pixels.size == 0:  # noqa: PLR2004 - height, width, channels
        raise ValueError(f"a picture is uint8 of shape (height, width, 3), not {pixels.dtype} of {pixels.shape}")
    if not pixels.flags.c_contiguous:
        raise ValueError("a picture is C-contiguous")


def _rect(region: Region, width: int, height: int) -> Any:
    return importlib.import_module("mediapipe.framework.formats.rect_pb2").NormalizedRect(
        x_center=region.centre_x_px / width,
        y_center=region.centre_y_px / height,
        width=region.width_px / width,
        height=region.height_px / height,
        rotation=region.angle_rad,
    )


def _start_graph(name: str) -> Any:
    """Start one of the detectors, or the mesh model, and let it read a first picture."""
    preload()
    solution_base = importlib.import_module("mediapipe.python.solution_base")
    running = type("RunningGraph", (AnswersByName, solution_base.SolutionBase), {})
    picture = np.zeros((_FIRST_PICTURE_PX, _FIRST_PICTURE_PX, _RGB_CHANNELS), np.uint8)
    inputs: dict[str, Any] = {"image": picture}
    with quiet_stderr():
        if name == MESH_GRAPH:
            graph = running(
                graph_config=_single_threaded_config(MESH_GRAPH),
                side_inputs={"with_attention": True},
                calculator_params={"mesh__ThresholdingCalculator.threshold": MIN_MESH_CONFIDENCE},
            )
            inputs["region"] = _rect(Region(0.5, 0.5, 1.0, 1.0, 0.0), 1, 1)
        else:
            config = _single_threaded_config(DETECTOR_GRAPH % (name, MAX_FACES))
            [scoring] = [node.name for node in config.node if node.calculator == "TensorsToDetectionsCalculator"]
            scores = {f"{scoring}.min_score_thresh": MIN_SCORES[DetectionRange(name)]}
            graph = running(graph_config=config, calculator_params=scores)
        graph.process(inputs)  # the models are loaded, and complain, with the first picture
    return graph


def _single_threaded_config(text: str) -> Any:
    """Read a graph, expand its parts, and pin its executor and its model to one thread."""
    config_pb2 = importlib.import_module("mediapipe.framework.calculator_pb2")
    inference_pb2 = importlib.import_module("mediapipe.calculators.tensor.inference_calculator_pb2")
    validated = importlib.import_module("mediapipe.python._framework_bindings.validated_graph_config")
    text_format = importlib.import_module("google.protobuf.text_format")
    for options in _OPTIONS:
        importlib.import_module(f"mediapipe.{options}_pb2")
    graph = validated.ValidatedGraphConfig()
    graph.initialize(graph_config=text_format.Parse(text, config_pb2.CalculatorGraphConfig()))
    config = config_pb2.CalculatorGraphConfig.FromString(graph.binary_config)

    del config.executor[:]
    config.executor.add(type="ApplicationThreadExecutor")
    for node in config.node:
        if node.calculator != "InferenceCalculatorCpu":
            continue
        for packed in node.node_options:
            options = inference_pb2.InferenceCalculatorOptions.FromString(packed.value)
            options.delegate.xnnpack.num_threads = 1
            packed.value = options.SerializeToString()
        if not node.node_options:
            options = node.options.Extensions[inference_pb2.InferenceCalculatorOptions.ext]
            options.delegate.xnnpack.num_threads = 1
    return config
