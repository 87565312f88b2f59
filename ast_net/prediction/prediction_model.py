"""Loads the networks that a prediction needs, and checks that they belong together."""

import dataclasses

from ast_net import config, errors, shipped
from ast_net.cnn import backbone, expression_head, runtime
from ast_net.faces import detection
from ast_net.temporal import temporal_model


@dataclasses.dataclass(frozen=True, eq=False)
class PredictionModel:
    """The networks of a pipeline.

    Attributes:
      detector: finds and follows faces.
      extractor: aligned faces -> fc6.
      head: fc6 -> logits of its expressions; None to leave out their posteriors.
      temporal: fc6 of a face over time -> the targets.
    """

    detector: detection.FaceDetector
    extractor: runtime.Extractor
    head: expression_head.ExpressionHead | None
    temporal: temporal_model.TemporalModel


def load(settings: config.Networks, posteriors: bool = False) -> PredictionModel:
    """Loads the networks of a run, or those that come with the package.

    Args:
      settings: the run, its model, its CNN, and how that is computed.
      posteriors: whether the expressions are needed.

    Raises:
      InputError: something is missing, damaged, or made for something else.
    """
    temporal = temporal_model.load(settings.workdir, settings.model)
    weights = cnn_weights(temporal.spec, settings.backbone_weights)
    extractor = runtime.load(temporal.spec.backbone, weights, settings.runtime, settings.data_dir)
    head = load_head(temporal.spec, weights) if posteriors else None
    return PredictionModel(detection.FaceDetector(), extractor, head, temporal)


def cnn_weights(spec: temporal_model.ModelSpec, backbone_weights: str | None) -> str | None:
    """Returns the weights file of a temporal model's CNN, None for the package's own.

    Args:
      spec: of the temporal model.
      backbone_weights: the file that was asked for, if any.

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


def load_head(
    spec: temporal_model.ModelSpec, weights: str | None
) -> expression_head.ExpressionHead:
    """Loads the expression head that belongs to the CNN's weights.

    Args:
      spec: of the temporal model.
      weights: of the CNN, from `cnn_weights`.

    Raises:
      InputError: there is no head beside them, or it is damaged.
    """
    path = expression_head.file_beside(weights)
    if not path.is_file():
        raise errors.InputError(
            f"{path}: no such file, and the posteriors need it; finetune leaves it beside its "
            "backbone.weights.h5: put it there, or leave out `posteriors`"
        )
    return expression_head.load(backbone.FEATURE_SIZE[spec.backbone], path)
