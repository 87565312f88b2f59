"""A trained temporal model with what it was trained on: all that predicting with it takes."""

import dataclasses
import json
import pathlib

import keras

from ast_net import config, errors, files, shipped
from ast_net.temporal import stacked_lstm


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a temporal model was trained on, and so what it expects; model.json beside the model.

    Attributes:
      targets: what it predicts, in order.
      backbone, weights_id: the CNN of its features, and the first digits of its weights' SHA-256.
      backbone_weights: the file of these weights, when it was trained; None for the package's own.
      clip_frames, stride: N and S of its clips.
      frame_rate: of the recordings, frames a second: S frames last S / frame_rate seconds.
    """

    targets: tuple[str, ...]
    backbone: str
    weights_id: str
    backbone_weights: str | None
    clip_frames: int
    stride: int
    frame_rate: float

    def __post_init__(self) -> None:
        config.Clip(self.clip_frames, self.stride)
        if not 0 < self.frame_rate < 1000:
            raise errors.InputError(f"frame_rate must be from 0 to 1000, found {self.frame_rate}")

    def stride_at(self, frame_rate: float) -> int:
        """The stride that lasts as long at another frame rate, at least 1."""
        return max(1, round(self.stride * frame_rate / self.frame_rate))


def save_origin(path: str | pathlib.Path, origin: Origin) -> None:
    """Writes model.json, whole or not at all."""
    with files.whole(path) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(origin), indent=2) + "\n")


def load(
    network: str | pathlib.Path = shipped.STACKED_LSTM,
    origin: str | pathlib.Path = shipped.STACKED_LSTM_ORIGIN,
) -> tuple[keras.Model, Origin]:
    """A trained model [B, N, F] -> [B, N, D] and its origin; by default the package's own.

    Args:
      network: best.keras or last.keras of a run.
      origin: model.json of the run.

    Raises:
      InputError: a file is missing or damaged, or the two do not belong together.
    """
    model, path = stacked_lstm.load(network), pathlib.Path(origin)
    if not path.is_file():
        raise errors.InputError(
            f"{path}: no such file; a run of an earlier version lacks it: call train once more as the run was "
            f"(--flagfile={path.parent / 'run.flags'}), which adds it without training again"
        )
    try:
        values = json.loads(path.read_text())
        found = Origin(**{**values, "targets": tuple(values["targets"])})
    except (ValueError, TypeError, KeyError) as error:
        raise errors.InputError(
            f"{path}: not what train leaves ({error}); call train once more, which writes it again"
        ) from error
    if model.output.shape[-1] != len(found.targets):
        raise errors.InputError(
            f"{network}: predicts {model.output.shape[-1]} targets, but {path} names {found.targets}; these are "
            "files of two runs"
        )
    return model, found
