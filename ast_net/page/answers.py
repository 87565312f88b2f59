"""Makes what the page is told: JSON data about the model and about each frame."""

from collections.abc import Iterable
from typing import Any

from ast_net.prediction import annotation, pipeline, predicted_frame
from ast_net.reports import tables

# Digits after the decimal point, of coordinates and of all other numbers.
_COORDINATE_DIGITS, _DIGITS = 1, 4
# Faces after these have the same colours again, as in annotated videos.
_COLOURS = 12


def of_model(stages: pipeline.Pipeline) -> dict[str, Any]:
    """Describes the model: the names of its numbers, and how they are drawn."""
    return {
        "targets": stages.targets,
        "expressions": stages.expressions,
        "time_step": stages.time_step,
        "trail_seconds": annotation.TRAIL_SECONDS,
        "colours": [annotation.colour(face_id) for face_id in range(_COLOURS)],
    }


def of_frame(frame: predicted_frame.PredictedFrame) -> dict[str, Any]:
    """Returns the predictions of a frame.

    Returns:
      {"time": seconds, "faces": [...]}. Each face has an id; a box (x, y, width, height in pixels),
      None if the frame does not show it; and lists in the model's order: values, smooth (means over
      the time step), and expressions (probabilities). None stands for NaN.
    """
    faces = [
        {
            "id": face.face_id,
            "box": None if face.box is None else _rounded(face.box, _COORDINATE_DIGITS),
            "values": _rounded(face.values.values()),
            "smooth": _rounded(face.smooth.values()),
            "expressions": _rounded(face.posteriors.values()),
        }
        for face in frame.faces
    ]
    return tables.json_data({"time": frame.time, "faces": faces})


def _rounded(values: Iterable[float], digits: int = _DIGITS) -> list[float]:
    return [round(float(value), digits) for value in values]
