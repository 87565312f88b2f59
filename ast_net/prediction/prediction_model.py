"""Loads the networks that a prediction needs, and checks that they belong together."""

import contextlib
import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from ast_net import config, errors, shipped
from ast_net.cnn import backbone, expression_head, runtime
from ast_net.faces import alignment, detection, tracking, video
from ast_net.temporal import temporal_model

# Faces that int8 is calibrated on, and frames of a recording in which they are looked for.
_CALIBRATION_FACES, _CALIBRATION_FRAMES = 128, 3000


@dataclasses.dataclass(frozen=True, eq=False)
class PredictionModel:
    """The networks of a pipeline.

    Attributes:
      detector: finds and follows faces.
      extractor: aligned faces -> fc6.
      head: fc6 -> logits of the expressions; None to leave out their posteriors.
      temporal: fc6 of a face over time -> the targets.
    """

    detector: detection.FaceDetector
    extractor: runtime.Extractor
    head: keras.Model | None
    temporal: temporal_model.TemporalModel


def load(
    workdir: str | None = None,
    model: str = "best",
    backbone_weights: str | None = None,
    settings: config.Runtime | None = None,
    cache_dir: str = "data",
    posteriors: bool = False,
    recordings: Sequence[pathlib.Path] = (),
) -> PredictionModel:
    """Loads the networks of a run, or those that come with the package.

    Args:
      workdir: the run's; None for the package's own.
      model: best or last.
      backbone_weights: of the CNN; None for the file that the run was trained with.
      settings: how the CNN is computed; None for the usual way.
      cache_dir: where a calibrated CNN is kept.
      posteriors: whether the expressions are wanted.
      recordings: whose faces int8 is calibrated on, if that has not been done.

    Raises:
      InputError: something is missing, damaged, or made for something else.
    """
    temporal = temporal_model.load(workdir, model)
    weights = cnn_weights(temporal.spec, backbone_weights)
    detector = detection.FaceDetector()
    extractor = runtime.load(
        temporal.spec.backbone,
        weights,
        settings or config.Runtime(),
        pathlib.Path(cache_dir),
        lambda: calibration_faces(recordings, detector),
    )
    head = load_head(temporal.spec, weights) if posteriors else None
    return PredictionModel(detector, extractor, head, temporal)


def cnn_weights(spec: temporal_model.ModelSpec, backbone_weights: str | None) -> str | None:
    """Returns the weights file of a temporal model's CNN, None for the package's own.

    Args:
      spec: of the temporal model.
      backbone_weights: as of `load`.

    Raises:
      InputError: the file is missing, or the temporal model was trained with another one.
    """
    weights = backbone_weights or spec.backbone_weights
    digest = backbone.weights_id(spec.backbone, weights)
    if digest != spec.backbone_digest:
        raise errors.InputError(
            f"{weights or shipped.COMPACT}: the temporal model was trained on features of other "
            f"weights of {spec.backbone}: expected a file whose SHA-256 begins with "
            f"{spec.backbone_digest}, found {digest}: give it with `backbone_weights=FILE`"
        )
    return weights


def calibration_faces(
    recordings: Sequence[pathlib.Path], detector: detection.FaceDetector
) -> np.ndarray:
    """Aligned faces out of the beginnings of recordings, uint8 [n, 224, 224, 3], n <= 128.

    Each gives an equal share, as far as it shows faces; one that cannot be read gives none.
    """
    share = -(-_CALIBRATION_FACES // max(1, len(recordings)))
    faces: list[np.ndarray] = []
    for path in recordings:
        with contextlib.suppress(errors.InputError):
            faces.extend(itertools.islice(_every_fifth_face(path, detector), share))
        if len(faces) >= _CALIBRATION_FACES:
            break
    return np.stack(faces) if faces else np.zeros((0, 224, 224, 3), np.uint8)


def _every_fifth_face(path: pathlib.Path, detector: detection.FaceDetector) -> Iterator[np.ndarray]:
    tracker = tracking.FaceTracker(detector, config.Tracking())
    for frame in itertools.islice(video.read_frames(path), _CALIBRATION_FRAMES):
        seen = tracker.update(frame.image, frame.timestamp)
        if seen and frame.index % 5 == 0:
            yield alignment.align_face(frame.image, seen[0].face.landmarks, config.Alignment())


def load_head(spec: temporal_model.ModelSpec, weights: str | None) -> keras.Model:
    """Loads the expression head that belongs to the CNN's weights.

    Args:
      spec: of the temporal model.
      weights: of the CNN, from `cnn_weights`.

    Raises:
      InputError: there is no head beside them, or it is damaged.
    """
    path = head_file(weights)
    if not path.is_file():
        raise errors.InputError(
            f"{path}: no such file; finetune leaves it beside its backbone.weights.h5, and the "
            "posteriors of the expressions need it: put it there, or leave out `posteriors`"
        )
    return expression_head.load_head(backbone.FEATURE_SIZE[spec.backbone], path)


def head_file(weights: str | None) -> pathlib.Path:
    """Returns where the head of the CNN's weights belongs; None stands for the package's own."""
    if weights is None:
        return shipped.COMPACT_HEAD
    return pathlib.Path(weights).parent / "head.weights.h5"
