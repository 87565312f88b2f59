"""All that is learned, read from where it lies, and checked to belong together."""

import dataclasses
import pathlib

import keras

from ast_net import config, errors, shipped
from ast_net import workdir as run_folder
from ast_net.cnn import backbone, expression_head, runtime
from ast_net.faces import detection
from ast_net.temporal import temporal_model


@dataclasses.dataclass(frozen=True, eq=False)
class Networks:
    """What a pipeline computes with.

    Attributes:
      detector: finds and follows faces.
      extractor: aligned faces -> fc6.
      head: fc6 -> logits of the expressions; None if their posteriors are not wanted.
      stacked_lstm: fc6 of a face over time -> the targets.
      origin: what stacked_lstm was trained on.
    """

    detector: detection.FaceDetector
    extractor: runtime.Extractor
    head: keras.Model | None
    stacked_lstm: keras.Model
    origin: temporal_model.Origin


def load(
    workdir: str | None = None,
    model: str = run_folder.BEST_MODEL,
    backbone_weights: str | None = None,
    settings: config.Runtime | None = None,
    cache_dir: str = "data",
    posteriors: bool = False,
) -> Networks:
    """The networks of a run, or those that come with the package.

    Args:
      workdir: the run's; None for the package's own.
      model: the file in the workdir, best.keras or last.keras.
      backbone_weights: of the CNN; None for the file that the run was trained with.
      settings: how the CNN is computed; None for the usual way.
      cache_dir: where an int8 CNN is kept.
      posteriors: whether the expressions are wanted.

    Raises:
      InputError: something is missing, damaged, or made for something else.
    """
    stacked_lstm, origin = load_temporal(workdir, model)
    weights = weights_of(origin, backbone_weights)
    extractor = runtime.load(
        origin.backbone,
        weights,
        settings or config.Runtime(),
        pathlib.Path(cache_dir),
    )
    head = load_head(origin, weights) if posteriors else None
    return Networks(detection.FaceDetector(), extractor, head, stacked_lstm, origin)


def load_temporal(
    workdir: str | None, model: str = run_folder.BEST_MODEL
) -> tuple[keras.Model, temporal_model.Origin]:
    """The temporal model of a run or of the package, and its origin; arguments and errors as of `load`."""
    if workdir is None:
        return temporal_model.load()
    folder = pathlib.Path(workdir)
    return temporal_model.load(folder / model, folder / run_folder.ORIGIN)


def weights_of(origin: temporal_model.Origin, backbone_weights: str | None) -> str | None:
    """The weights file of a temporal model's CNN, None for the package's own.

    Args:
      origin: of the temporal model.
      backbone_weights: as of `load`.

    Raises:
      InputError: the file is missing, or not the one that the temporal model was trained with.
    """
    weights = backbone_weights or origin.backbone_weights
    found = backbone.weights_id(origin.backbone, weights)
    if found != origin.weights_id:
        raise errors.InputError(
            f"{weights or shipped.COMPACT}: the temporal model was trained on features of other weights of "
            f"{origin.backbone} (SHA-256 {origin.weights_id}..., found {found}...): give these with "
            "--backbone_weights"
        )
    return weights


def load_head(origin: temporal_model.Origin, weights: str | None) -> keras.Model:
    """The head of the CNN's weights: the package's, or the one that finetune left beside them."""
    path = expression_head.file_beside(weights)
    if not path.is_file():
        raise errors.InputError(
            f"{path}: no such file, and the expressions' posteriors need it: finetune leaves it beside its "
            "backbone.weights.h5; without it leave --posteriors out"
        )
    return expression_head.load_head(backbone.FEATURE_SIZE[origin.backbone], path)
