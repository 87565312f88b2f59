"""What is exported: the networks of a run as TensorFlow computes them."""

import dataclasses

import keras

from ast_net.cnn import runtime
from ast_net.prediction import prediction_model
from ast_net.temporal import temporal_model


@dataclasses.dataclass(frozen=True, eq=False)
class ServedModel:
    """The networks of an exported model.

    Attributes:
      temporal: fc6 of a face over time -> the targets.
      cnn: faces -> fc6; None to leave it out.
      head: fc6 -> logits of the expressions; None to leave it out, or where there is none.
    """

    temporal: temporal_model.TemporalModel
    cnn: keras.Model | None = None
    head: keras.Model | None = None


def load(
    workdir: str | None = None,
    model: str = "best",
    backbone_weights: str | None = None,
    with_cnn: bool = True,
    precision: str = "float32",
) -> ServedModel:
    """Loads the networks of a run, or those that come with the package.

    Args:
      workdir: the run's; None for the package's own.
      model: best or last.
      backbone_weights: of the CNN; None for the file that the run was trained with.
      with_cnn: whether to load the CNN and its head. VGG-Face's weights come without a head: a
        message says so, and it is left out.
      precision: of the CNN, float32 or bfloat16. The temporal model is float32.

    Raises:
      InputError: something is missing, damaged, or belongs to another model.
    """
    temporal = temporal_model.load(workdir, model)
    if not with_cnn:
        return ServedModel(temporal)
    weights = prediction_model.cnn_weights(temporal.spec, backbone_weights)
    cnn = runtime.network(temporal.spec.backbone, weights, precision)
    if not prediction_model.head_file(weights).is_file():
        path = prediction_model.head_file(weights)
        print(f"{path}: no such file, so no expressions are exported; finetune leaves it")
        return ServedModel(temporal, cnn)
    return ServedModel(temporal, cnn, prediction_model.load_head(temporal.spec, weights))
