"""Loads a temporal model and its specification."""

import dataclasses
import json
import math
import pathlib
import types
import typing

import keras

from ast_net import config, errors, fields, files, shipped, workdir
from ast_net.cnn import backbone, weight_files
from ast_net.temporal import stacked_lstm

# A model.json from elsewhere must not use up the machine.
_BOUNDS = {
    "feature_size": fields.Bounds(1, 65_536),
    "clip_frames": fields.Bounds(2, 100_000),
    "time_step": fields.Bounds(0.001, 60),
    "frame_rate": fields.Bounds(0.01, 1000),
}
_MAX_UNITS, _MAX_LAYERS = 4096, 16


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """What is needed to rebuild a temporal model and to use it; stored as model.json.

    Attributes:
      targets: the targets that the model predicts, in order.
      feature_size, units: F, and the number of cells of each LSTM layer, as in
        `stacked_lstm.build_stacked_lstm`.
      backbone: name of the CNN that computes the features.
      backbone_digest: first digits of the SHA-256 of the CNN's weights.
      backbone_weights: file of the CNN's weights in training; None for those of the package.
      clip_frames: N, number of frames of a clip.
      time_step: seconds between consecutive frames of a clip.
      frame_rate: usual frame rate of the training recordings, in frames per second.
      reaction_delay: for each target, seconds by which the ratings lag behind the face. The
        prediction for a frame is the rating that raters would give this much later.
      records: digest of the training records (`record_files.Records`).
    """

    targets: tuple[str, ...]
    feature_size: int
    units: tuple[int, ...]
    backbone: str
    backbone_digest: str
    backbone_weights: str | None
    clip_frames: int
    time_step: float
    frame_rate: float
    reaction_delay: tuple[float, ...]
    records: str | None = None

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(ModelSpec).items():
            if not _is_of_type(getattr(self, name), hint):
                raise ValueError(f"{name}: found {getattr(self, name)!r}, expected {hint}")
        config.Clip(self.clip_frames)
        config.StackedLSTM(self.units)
        config.ReactionDelay(self.reaction_delay)
        config.Backbone(backbone=self.backbone)
        if len(self.reaction_delay) != len(self.targets):
            raise ValueError(f"expected a delay for each target, found {self.reaction_delay}")
        ordered = tuple(name for name in config.ALL_TARGETS if name in self.targets)
        if not self.targets or self.targets != ordered:
            raise ValueError(
                f"expected some of the targets {', '.join(config.ALL_TARGETS)}, in this order, "
                f"found {self.targets}"
            )
        if len(self.units) > _MAX_LAYERS or max(self.units) > _MAX_UNITS:
            raise ValueError(
                f"expected at most {_MAX_LAYERS} layers of {_MAX_UNITS} cells, found {self.units}"
            )
        for name, bounds in _BOUNDS.items():
            if getattr(self, name) not in bounds:
                raise ValueError(f"expected {name} {bounds}, found {getattr(self, name)}")


@dataclasses.dataclass(frozen=True, eq=False)
class TemporalModel:
    """A network for inference, [B, N, F] -> [B, N, D] in float32, and its specification."""

    network: keras.Model
    spec: ModelSpec


def save_spec(path: str | pathlib.Path, spec: ModelSpec) -> None:
    """Writes model.json, whole or not at all."""
    with files.whole(path) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(spec), indent=2) + "\n")


def load(folder: str | pathlib.Path | None = None, model: str = "best") -> TemporalModel:
    """Loads the temporal model of a run: builds the network of model.json and loads its weights.

    Args:
      folder: the run's folder; None for the model that comes with the package.
      model: "best" or "last".

    Raises:
      InputError: a file is missing or damaged, or model.json and the weights do not match.
    """
    weights, spec_file = shipped.STACKED_LSTM, shipped.STACKED_LSTM_SPEC
    if folder is not None:
        weights = pathlib.Path(folder) / workdir.weights_file(model)
        spec_file = pathlib.Path(folder) / workdir.MODEL_SPEC
    if not weights.is_file():
        raise errors.InputError(
            f"{weights}: no such model; train first, with `workdir={weights.parent}`"
        )
    spec = load_spec(spec_file)
    network = stacked_lstm.build_stacked_lstm(spec.feature_size, spec.units, len(spec.targets))
    expected = (
        f"LSTMs of {', '.join(map(str, spec.units))} cells on {spec.feature_size} features for "
        f"{' and '.join(spec.targets)}, according to {spec_file}. Perhaps this file belongs to "
        "another run; train again in another folder"
    )
    weight_files.load(network, weights, expected)
    return TemporalModel(network, spec)


def load_spec(path: pathlib.Path) -> ModelSpec:
    """Reads model.json.

    Raises:
      InputError: the file is missing or damaged.
    """
    if not path.is_file():
        raise errors.InputError(f"{path}: no such file; give the whole folder of the run")
    remedy = "expected the file that train wrote; train again in another folder"
    with files.reading(path, "the specification of a model", remedy):
        values = json.loads(path.read_text())
        for name in ("targets", "units", "reaction_delay"):
            if not isinstance(values[name], list):
                raise ValueError(f"{name}: found {values[name]!r}, expected a list")
            values[name] = tuple(values[name])
        return ModelSpec(**values)


def cnn_weights(spec: ModelSpec, backbone_weights: str | None) -> str | None:
    """Returns the weights file of a temporal model's CNN; None for the package's own.

    Args:
      spec: specification of the temporal model.
      backbone_weights: the file that the user gives, if any.

    Raises:
      InputError: the file is missing, or the temporal model was trained with other weights.
    """
    weights = backbone_weights or spec.backbone_weights
    remedy = "give the right file by `backbone_weights=FILE`"
    if spec.backbone_weights is None and backbone_weights is not None:
        remedy = "leave `backbone_weights` out"
    if weights is not None and not pathlib.Path(weights).is_file():
        raise errors.InputError(
            f"{weights}: no such file; expected the weights of {spec.backbone} that the temporal "
            f"model was trained with: {remedy}"
        )
    digest = backbone.weights_id(spec.backbone, weights)
    if digest != spec.backbone_digest:
        raise errors.InputError(
            f"{weights or shipped.COMPACT}: the temporal model was trained with other weights of "
            f"{spec.backbone}: their SHA-256 begins with {spec.backbone_digest}, that of this file "
            f"with {digest}; {remedy}"
        )
    return weights


def _is_of_type(value: object, hint: typing.Any) -> bool:
    """Returns whether a value has the type of a hint; a float must be finite."""
    if isinstance(hint, types.UnionType):
        return any(_is_of_type(value, member) for member in typing.get_args(hint))
    if typing.get_origin(hint) is tuple:
        element = typing.get_args(hint)[0]
        return isinstance(value, tuple) and all(_is_of_type(part, element) for part in value)
    if isinstance(value, bool):
        return hint is bool
    if hint is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, hint)
