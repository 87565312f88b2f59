"""Loads the networks for prediction and checks that they belong together."""

import dataclasses
import hashlib

from ast_net import config, errors
from ast_net.cnn import backbone, expression_head, runtime
from ast_net.faces import detection
from ast_net.temporal import temporal_model


@dataclasses.dataclass(frozen=True, eq=False)
class PredictionModel:
    """The networks of a prediction.

    Attributes:
      detector: detects faces.
      extractor: aligned faces -> fc6.
      head: fc6 -> logits of its expressions; None to predict no posteriors.
      temporal: fc6 of a face over time -> the targets.
      digest: digest of all that the predictions depend on: weights, specification, precision.
    """

    detector: detection.FaceDetector
    extractor: runtime.Extractor
    head: expression_head.ExpressionHead | None
    temporal: temporal_model.TemporalModel
    digest: str = ""


def load(settings: config.Networks, posteriors: bool = False) -> PredictionModel:
    """Loads the networks of a run, or those that come with the package.

    Args:
      settings: the run, which of its models, the CNN's weights, and the CNN's runtime.
      posteriors: whether to load the expression head.

    Raises:
      InputError: a file is missing or damaged, or belongs to another model.
    """
    temporal = temporal_model.load(settings.workdir, settings.model)
    weights = temporal_model.cnn_weights(temporal.spec, settings.backbone_weights)
    extractor = runtime.load(temporal.spec.backbone, weights, settings.runtime, settings.data_dir)
    head = load_head(temporal.spec, weights) if posteriors else None
    digest = _digest(temporal, head, runtime.resolve(settings.runtime))
    detector = detection.FaceDetector(settings.data_dir)
    return PredictionModel(detector, extractor, head, temporal, digest)


def _digest(
    temporal: temporal_model.TemporalModel,
    head: expression_head.ExpressionHead | None,
    settings: config.Runtime,
) -> str:
    """Returns a digest in hex; the specification holds that of the CNN's weights."""
    result = hashlib.sha256(repr((temporal.spec, settings)).encode(errors="replace"))
    for network in [temporal.network] + ([head.network] if head is not None else []):
        for weight in network.get_weights():
            result.update(weight.tobytes())
    return result.hexdigest()[:16]


def load_head(
    spec: temporal_model.ModelSpec, weights: str | None
) -> expression_head.ExpressionHead:
    """Loads the expression head that belongs to the CNN's weights.

    Args:
      spec: specification of the temporal model.
      weights: the CNN's weights file, from `temporal_model.cnn_weights`.

    Raises:
      InputError: there is no head beside the weights file, or it is damaged.
    """
    path = expression_head.file_beside(weights)
    if not path.is_file():
        raise errors.InputError(
            f"{path}: no such file; the posteriors need it. finetune writes it beside "
            "backbone.weights.h5: copy it there, or set `posteriors=False`"
        )
    return expression_head.load(backbone.FEATURE_SIZE[spec.backbone], path)
