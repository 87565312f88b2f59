"""Loads the networks to export, as TensorFlow computes them."""

import dataclasses

import keras
from absl import logging

from ast_net import config
from ast_net.cnn import expression_head, tensorflow_runtime
from ast_net.prediction import prediction_model
from ast_net.temporal import temporal_model


@dataclasses.dataclass(frozen=True, eq=False)
class ServedModel:
    """The networks of an exported model.

    Attributes:
      temporal: fc6 of a face over time -> the targets.
      cnn: faces -> fc6; None if it is left out.
      head: fc6 -> logits of its expressions; None if it is left out, or if there is none.
    """

    temporal: temporal_model.TemporalModel
    cnn: keras.Model | None = None
    head: expression_head.ExpressionHead | None = None


def load(settings: config.Export) -> ServedModel:
    """Loads the networks of a run, or those that come with the package.

    If the CNN's weights have no head beside them (VGG-Face's, for example), a message says so and
    the head is left out.

    Args:
      settings: the run, which of its models, the CNN's weights and precision, and whether to export
        the CNN.

    Raises:
      InputError: a file is missing or damaged, or belongs to another model.
    """
    temporal = temporal_model.load(settings.workdir, settings.model)
    if not settings.cnn:
        return ServedModel(temporal)
    weights = temporal_model.cnn_weights(temporal.spec, settings.backbone_weights)
    precision = "float32" if settings.precision == "auto" else settings.precision
    cnn = tensorflow_runtime.network(temporal.spec.backbone, weights, precision)
    path = expression_head.file_beside(weights)
    if not path.is_file():
        logging.warning(
            f"{path}: no such file (finetune writes it), so expressions are not exported"
        )
        return ServedModel(temporal, cnn)
    return ServedModel(temporal, cnn, prediction_model.load_head(temporal.spec, weights))
