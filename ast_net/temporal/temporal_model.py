"""A temporal model with what it was trained on: all that predicting with it takes."""

import dataclasses
import json
import pathlib

import keras

from ast_net import config, errors, files, shipped, workdir
from ast_net.cnn import weight_files
from ast_net.temporal import stacked_lstm


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """How to rebuild a temporal model, and what it expects; model.json beside its weights.

    Attributes:
      targets: what it predicts, in order.
      feature_size, units: F, and the cells of each LSTM, as of `stacked_lstm.build_stacked_lstm`.
      backbone, backbone_digest: the CNN of its features, and the first digits of its weights'
      SHA-256.
      backbone_weights: the file of these weights during training; None for the package's own.
      clip_frames: N, frames of a clip.
      time_step: seconds from one frame of a clip to the next.
      frame_rate: usual for the training recordings, frames a second.
      reaction_delay: seconds by which the ratings that it learned lag behind the face, of each
        target: what it predicts at a frame is the rating that would be made so much later.
      records: the digest of the records that it was trained on (`records.store`).
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
        config.Clip(self.clip_frames)
        config.StackedLSTM(self.units)
        config.ReactionDelay(self.reaction_delay)
        if len(self.reaction_delay) != len(self.targets):
            raise ValueError(f"expected a delay of each target, found {self.reaction_delay}")
        if self.feature_size < 1 or not 0 < self.time_step <= 60 or not 0 < self.frame_rate < 1000:
            raise ValueError(
                "expected positive sizes, a time step of at most 60 s and a frame rate below 1000, found "
                f"{self}"
            )


@dataclasses.dataclass(frozen=True, eq=False)
class TemporalModel:
    """The network for inference, [B, N, F] -> [B, N, D] in float32, and its specification."""

    network: keras.Model
    spec: ModelSpec


def save_spec(path: str | pathlib.Path, spec: ModelSpec) -> None:
    """Writes model.json, whole or not at all."""
    with files.whole(path) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(spec), indent=2) + "\n")


def load(folder: str | pathlib.Path | None = None, model: str = "best") -> TemporalModel:
    """Loads a run's temporal model: its weights, into a network that is rebuilt as model.json says.

    Args:
      folder: the run's; None for the model that comes with the package.
      model: best or last.

    Raises:
      InputError: a file is missing or damaged, or the two are of different runs.
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
        f"{' and '.join(spec.targets)}, as {spec_file} says: perhaps it belongs to another run; "
        "train again in another folder"
    )
    weight_files.load(network, weights, expected)
    return TemporalModel(network, spec)


def load_spec(path: pathlib.Path) -> ModelSpec:
    """Reads model.json.

    Raises:
      InputError: the file is missing or damaged.
    """
    if not path.is_file():
        raise errors.InputError(f"{path}: no such file; give the whole folder that train has left")
    remedy = "expected that of a run; train again in another folder"
    with files.reading(path, "the specification that train leaves", remedy):
        values = json.loads(path.read_text())
        values |= {name: tuple(values[name]) for name in ("targets", "units", "reaction_delay")}
        return ModelSpec(**values)
