"""The graphs that the face mesh runs, in mediapipe's own language: a detector, and the mesh model behind it.

Together they are `mediapipe/modules/face_landmark/face_landmark_front_cpu.pbtxt` without its tracking, cut where the
regions pass from the one to the other. `%s` stands for the detector, `%d` for how many faces it may find.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class DetectionRange(StrEnum):
    """Which of mediapipe's detectors looks for faces, by the name in its graph.

    Short reads the whole picture at 128 px, for faces of a tenth of its width and more; full at 192 px, for half as
    much. Each is best in its own range.
    """

    SHORT = "Short"
    FULL = "Full"


DETECTOR_GRAPH: Final = """
input_stream: "image" output_stream: "detections" output_stream: "regions" output_stream: "distinct_regions"
node { calculator: "FaceDetection%sRangeCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:all" }
node { calculator: "ClipDetectionVectorSizeCalculator" input_stream: "all" output_stream: "detections"
       options { [mediapipe.ClipVectorSizeCalculatorOptions.ext] { max_vec_size: %d } } }
node { calculator: "ImagePropertiesCalculator" input_stream: "IMAGE:image" output_stream: "SIZE:size" }
node { calculator: "BeginLoopDetectionCalculator" input_stream: "ITERABLE:detections" input_stream: "CLONE:size"
       output_stream: "ITEM:detection" output_stream: "CLONE:its_size" output_stream: "BATCH_END:end" }
node { calculator: "FaceDetectionFrontDetectionToRoi" input_stream: "DETECTION:detection"
       input_stream: "IMAGE_SIZE:its_size" output_stream: "ROI:region" }
node { calculator: "EndLoopNormalizedRectCalculator" input_stream: "ITEM:region" input_stream: "BATCH_END:end"
       output_stream: "ITERABLE:regions" }
node { calculator: "AssociationNormRectCalculator" input_stream: "regions" output_stream: "distinct_regions"
       options { [mediapipe.AssociationCalculatorOptions.ext] { min_similarity_threshold: 0.5 } } }
"""
MESH_GRAPH: Final = """
input_stream: "image" input_stream: "region" input_side_packet: "with_attention" output_stream: "landmarks"
node { name: "mesh" calculator: "FaceLandmarkCpu" input_stream: "IMAGE:image" input_stream: "ROI:region"
       input_side_packet: "WITH_ATTENTION:with_attention" output_stream: "LANDMARKS:landmarks" }
"""

_STEP_US: Final = 33_333
"""From one picture to the next: any step will do, and this is mediapipe's own."""


class AnswersByName:
    """Put before mediapipe's `SolutionBase`, makes `process` answer with a dict.

    The vendor's own makes a new class, a named tuple, for each answer: 0.2 ms of CPU, twice and more a photo.
    """

    _graph: Any
    _graph_outputs: dict[str, Any]
    _input_stream_type_info: Mapping[str, Any]
    _output_stream_type_info: Mapping[str, Any]
    _make_packet: Any
    _get_packet_content: Any
    _simulated_timestamp: int

    def process(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the graph on a picture.

        Parameters
        ----------
        inputs : mapping
            A picture or a message for each of the graph's inputs, by name.

        Returns
        -------
        dict
            What came out, by name; None, or not at all, where nothing did.

        Raises
        ------
        RuntimeError, ValueError
            If the graph fails, which it then does for ever.
        """
        self._graph_outputs.clear()
        self._simulated_timestamp += _STEP_US
        for stream, data in inputs.items():
            packet = self._make_packet(self._input_stream_type_info[stream], data)
            self._graph.add_packet_to_input_stream(stream=stream, packet=packet.at(self._simulated_timestamp))
        self._graph.wait_until_idle()
        return {
            stream: self._get_packet_content(self._output_stream_type_info[stream], packet)
            for stream, packet in self._graph_outputs.items()
        }
