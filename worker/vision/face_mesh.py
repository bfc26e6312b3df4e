"""The only door to mediapipe: pixels in, face meshes out.

The graph is the one behind `mediapipe.solutions.face_mesh`, in static mode with the attention model, and gives the same
landmarks to the last bit. It is driven through mediapipe's own `SolutionBase` for two things that `FaceMesh` hides: the
detector's scores, and the executor. The graph runs on the thread that calls it, with one inference thread: a worker
scales by processes, and idle pools in each of them cost CPU and gain nothing (OpenCV inside mediapipe would start
threads only for crops larger than 256 x 256; the models read 192 x 192).

What the graph raises is a bug and stays a `RuntimeError`, but the broken graph is replaced, since it would fail every
photo that follows.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from worker.measure.geometry import bounding_box
from worker.measure.landmarks import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    LOWER_LIP_INNER,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    UPPER_LIP_INNER,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

ENGINE: Final = "mediapipe-face-mesh"

MAX_FACES: Final = 10
"""Always asked for: the graph drops faces in no useful order, so cutting to fewer comes after sorting."""

MIN_DETECTION_CONFIDENCE: Final = 0.5
MIN_MESH_CONFIDENCE: Final = 0.5
"""Both thresholds are the defaults of `mediapipe.solutions.face_mesh.FaceMesh`."""

_GRAPH_FILE: Final = "modules/face_landmark/face_landmark_front_cpu.binarypb"
_THRESHOLDS: Final = {
    "facedetectionshortrangecpu__facedetectionshortrange__facedetection__TensorsToDetectionsCalculator"
    ".min_score_thresh": MIN_DETECTION_CONFIDENCE,
    "facelandmarkcpu__ThresholdingCalculator.threshold": MIN_MESH_CONFIDENCE,
}
_DETECTOR_INPUT_PX: Final = 128
_RGB_CHANNELS: Final = 3

_MESH_POINTS_OF_KEYPOINTS: Final = (
    (RIGHT_EYE_OUTER, RIGHT_EYE_INNER),
    (LEFT_EYE_OUTER, LEFT_EYE_INNER),
    (NOSE_TIP, NOSE_TIP),
    (UPPER_LIP_INNER, LOWER_LIP_INNER),
)
"""The detector's first four keypoints (BlazeFace: right eye, left eye, nose tip, mouth), each as the middle of two
mesh points. Its last two, the ears, lie where the mesh has none."""


@dataclass(frozen=True, slots=True, eq=False)
class MeshFace:
    """One face as the mesh model sees it.

    Attributes
    ----------
    landmarks : ndarray of float64, shape (478, 3), read-only
        x to the right, y down and z away from the camera [px of the picture handed in]; z is relative to the head's
        centre and of the scale of x.
    confidence : float
        The face detector's score, 0.5 to 1.
    """

    landmarks: NDArray[np.float64]
    confidence: float


def engine_version() -> str:
    """Tell which mediapipe is installed, without importing it."""
    return metadata.version("mediapipe")


def preload() -> None:
    """Import mediapipe without building a graph, so that processes forked later find it imported.

    Meant for the parent of the worker's processes. mediapipe starts no thread of its own until a graph is built, so
    forking afterwards is safe.

    Notes
    -----
    `mediapipe/__init__.py` imports every solution, and one drawing helper among them imports matplotlib, which is three
    quarters of the time, a third of the memory, and a font cache in the home directory. Nothing here draws, so empty
    modules stand in for it while mediapipe is imported.
    """
    if "mediapipe" in sys.modules:
        return
    stand_ins: dict[str, ModuleType] = {}
    if "matplotlib" not in sys.modules:
        stand_ins = {name: ModuleType(name) for name in ("matplotlib", "matplotlib.pyplot")}
    sys.modules.update(stand_ins)
    try:
        with warnings.catch_warnings():
            # protobuf 4's types are deprecated for Python 3.14, where mediapipe 0.10.21 does not install anyway.
            warnings.filterwarnings("ignore", r"Type google\._upb", DeprecationWarning)
            importlib.import_module("mediapipe")
    finally:
        for name in stand_ins:
            del sys.modules[name]


class FaceMesh:
    """The face mesh of one process; built after fork, used by one thread, a context manager.

    A graph does not survive a fork (it hangs) and is not for sharing between threads.
    """

    def __init__(self) -> None:
        self._process_id = os.getpid()
        self._graph: Any = _start_graph()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the graph; closing twice does nothing."""
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.close()

    def detect(self, pixels: NDArray[np.uint8]) -> list[MeshFace]:
        """Find up to ten faces and their meshes, in one picture that has nothing to do with the one before.

        Parameters
        ----------
        pixels : ndarray of uint8, shape (height, width, 3)
            The upright picture, RGB, C-contiguous.

        Returns
        -------
        list of MeshFace
            Sorted by the area of the bounding box, largest first; equal areas by confidence, then from the left, then
            from the top. Empty when no face is found.

        Raises
        ------
        ValueError
            If `pixels` is anything else.
        RuntimeError
            If the graph fails, or this object was built in another process or is closed.
        """
        _check_pixels(pixels)
        outputs = self._run(pixels)
        height, width = pixels.shape[:2]
        meshes = [
            np.array([(point.x, point.y, point.z) for point in face.landmark]) * (width, height, width)
            for face in outputs.multi_face_landmarks or ()
        ]
        scores = _scores_of_meshes(meshes, outputs.face_detections or (), width, height)
        for mesh in meshes:
            mesh.flags.writeable = False
        return sorted(map(MeshFace, meshes, scores), key=_largest_first)

    def _run(self, pixels: NDArray[np.uint8]) -> Any:
        if self._process_id != os.getpid():
            raise RuntimeError("this face mesh was built before the fork; build one in each process")
        if self._graph is None:
            raise RuntimeError("this face mesh is closed")
        try:
            return self._graph.process({"image": pixels})
        except (RuntimeError, ValueError) as exc:
            self._graph = _start_graph()
            raise RuntimeError(f"the face mesh failed on a picture of shape {pixels.shape}") from exc


def _check_pixels(pixels: NDArray[np.uint8]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != _RGB_CHANNELS or pixels.size == 0:  # noqa: PLR2004 - height, width, channels
        raise ValueError(f"a picture is uint8 of shape (height, width, 3), not {pixels.dtype} of {pixels.shape}")
    if not pixels.flags.c_contiguous:
        raise ValueError("a picture is C-contiguous")


def _largest_first(face: MeshFace) -> tuple[float, float, float, float]:
    box = bounding_box(face.landmarks)
    return (-box.area, -face.confidence, box.x, box.y)


def _scores_of_meshes(
    meshes: Sequence[NDArray[np.float64]], detections: Sequence[Any], width: int, height: int
) -> list[float]:
    """Give each mesh the score of the detection it grew from.

    The graph drops detections between the two streams (overlapping ones, and those where the mesh model sees no face)
    and says nowhere which. So pairs are made by place, one to one and the closest first, the distance being the mean
    over four keypoints in units of the detection's width. A mesh lies within a fraction of that width of its own
    detection, and detections that overlap by half or more were already merged.
    """
    if len(meshes) > len(detections):
        raise RuntimeError(f"{len(meshes)} meshes from {len(detections)} detections")
    if not meshes:
        return []
    of_mesh = np.array([mesh[_MESH_POINTS_OF_KEYPOINTS, :2].mean(axis=1) for mesh in meshes])
    located = [detection.location_data for detection in detections]
    of_detection = np.array(
        [[(point.x * width, point.y * height) for point in place.relative_keypoints[:4]] for place in located]
    )
    widths = np.array([place.relative_bounding_box.width * width for place in located])
    distances = np.linalg.norm(of_mesh[:, np.newaxis] - of_detection, axis=-1).mean(axis=-1) / widths

    scores: dict[int, float] = {}
    taken: set[int] = set()
    for flat in np.argsort(distances, axis=None, kind="stable"):
        mesh, detection = divmod(int(flat), len(detections))
        if mesh not in scores and detection not in taken:
            scores[mesh] = float(detections[detection].score[0])
            taken.add(detection)
    return [scores[mesh] for mesh in range(len(meshes))]


def _start_graph() -> Any:
    preload()
    solution_base = importlib.import_module("mediapipe.python.solution_base")
    with _quiet_stderr():
        graph = solution_base.SolutionBase(
            graph_config=_single_threaded_config(),
            side_inputs={"num_faces": MAX_FACES, "with_attention": True, "use_prev_landmarks": False},
            calculator_params=_THRESHOLDS,
            outputs=["multi_face_landmarks", "face_detections"],
        )
        # The models are loaded, and complain, with the first picture.
        graph.process({"image": np.zeros((_DETECTOR_INPUT_PX, _DETECTOR_INPUT_PX, _RGB_CHANNELS), np.uint8)})
    return graph


def _single_threaded_config() -> Any:
    """Read the shipped graph and pin its executor and its two models to one thread."""
    config_pb2 = importlib.import_module("mediapipe.framework.calculator_pb2")
    inference_pb2 = importlib.import_module("mediapipe.calculators.tensor.inference_calculator_pb2")
    validated = importlib.import_module("mediapipe.python._framework_bindings.validated_graph_config")

    graph = validated.ValidatedGraphConfig()
    package = Path(importlib.import_module("mediapipe").__path__[0])
    graph.initialize(binary_graph_path=str(package / _GRAPH_FILE))
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


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Send what native code writes to standard error nowhere, for a moment.

    TFLite and absl greet on standard error before absl is initialised, which no variable prevents (GLOG_minloglevel and
    TF_CPP_MIN_LOG_LEVEL were tried) and mediapipe offers no call for. What goes wrong meanwhile is raised.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
