"""What is exported: the networks of a run, as they were trained."""

import dataclasses

import keras

from ast_net import workdir as run_folder
from ast_net.cnn import expression_head, tensorflow_runtime
from ast_net.prediction import prediction_model
from ast_net.temporal import temporal_model


@dataclasses.dataclass(frozen=True, eq=False)
class Networks:
    """What an exported model computes with.

    Attributes:
      stacked_lstm: [B, N, F] -> [B, N, D].
      origin: what it was trained on.
      cnn: faces -> fc6; None to leave it out.
      head: fc6 -> logits of the expressions; None to leave it out, or where there is none.
    """

    stacked_lstm: keras.Model
    origin: temporal_model.Origin
    cnn: keras.Model | None = None
    head: keras.Model | None = None


def load(
    workdir: str | None = None,
    model: str = run_folder.BEST_MODEL,
    backbone_weights: str | None = None,
    with_cnn: bool = True,
    precision: str = "float32",
) -> Networks:
    """The networks of a run, or those that come with the package.

    Args:
      workdir: the run's; None for the package's own.
      model: the file in the workdir, best.keras or last.keras.
      backbone_weights: of the CNN; None for the file that the run was trained with.
      with_cnn: whether the CNN and its head are wanted. VGG-Face's weights come without a head, which is
        said and left out.
      precision: of the CNN, float32 or bfloat16. The temporal model stays as it was trained.

    Raises:
      InputError: something is missing, damaged, or made for something else.
    """
    stacked_lstm, origin = prediction_model.load_temporal(workdir, model)
    if not with_cnn:
        return Networks(stacked_lstm, origin)
    weights = prediction_model.weights_of(origin, backbone_weights)
    cnn = tensorflow_runtime.network(origin.backbone, weights, precision)
    head = None
    if expression_head.file_beside(weights).is_file():
        head = prediction_model.load_head(origin, weights)
    else:
        print(
            f"{expression_head.file_beside(weights)}: no such file, so no expressions; finetune leaves it"
        )
    return Networks(stacked_lstm, origin, cnn, head)
