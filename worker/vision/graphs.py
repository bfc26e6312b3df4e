"""The graphs that the face mesh runs, in mediapipe's own language: a detector, and the mesh model behind it.

Together they are `mediapipe/modules/face_landmark/face_landmark_front_cpu.pbtxt` without its tracking, cut where the
regions pass from the one to the other. `%s` stands for the detector, `%d` for how many faces it may find.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


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
