"""Generates a folder of recordings: the demo data set, which needs no download and no licence.

Each recording is a video of a person whose expression follows known smooth curves of valence and
arousal, and what six simulated raters say about it. Everything follows from the seed and the
recording's name.
"""

import dataclasses
import itertools
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from ast_net import config, errors, files, screen
from ast_net.demo import raters, synthetic_face
from ast_net.faces import video_writer

# Raised whenever the same settings would give other files.
_VERSION = 2
_SETTINGS_FILE = "synthesis.json"
_LATENT_PEAK = 0.8
# Seconds: from a peak to the next trough it is half of these.
_LATENT_PERIODS = (7.0, 20.0)


class FolderLayout(Protocol):
    """Where the files of a recording lie in the folder."""

    def video(self, folder: pathlib.Path, recording: str) -> pathlib.Path: ...

    def rating_file(self, folder: pathlib.Path, target: str, recording: str) -> pathlib.Path: ...


@dataclasses.dataclass(frozen=True)
class DemoSettings:
    """What a generated folder depends on, beside its recordings' names.

    Attributes:
      seed: 0 or more.
      seconds: each recording's length.
      frame_rate: of the videos, frames a second.
    """

    seed: int = 0
    seconds: float = 40.0
    frame_rate: int = 25

    def __post_init__(self) -> None:
        if self.seed < 0 or not self.seconds >= 1 or self.frame_rate < 1:
            raise errors.InputError(
                f"{self}: expected a seed of 0 or more, at least a second, and at least a frame a "
                "second"
            )


def generate(
    folder: str | pathlib.Path,
    recordings: Sequence[str],
    layout: FolderLayout,
    settings: DemoSettings = DemoSettings(),
) -> None:
    """Writes the recordings that the folder does not have yet, each file whole or not at all.

    Recordings of one name and seed are the same in any folder; different names share no random
    number.

    Args:
      folder: made if need be; `synthesis.json` in it states the settings.
      recordings: their names, such as P16.
      layout: where each file lies, RECOLA's for the demo.
      settings: seed, length and frame rate.

    Raises:
      InputError: the folder was made with other settings or holds something else, or cannot be
        written.
    """
    folder = pathlib.Path(folder)
    try:
        _claim(folder, settings)
        for name, target in itertools.product(recordings, config.TARGETS):
            path = layout.rating_file(folder, target, name)
            if not path.exists():
                _write_ratings(path, rating_times(settings), rate(name, target, settings))
        missing = [name for name in recordings if not layout.video(folder, name).exists()]
        frames = len(missing) * len(_frame_times(settings))
        with screen.Progress("generating videos", frames) as progress:
            for name in missing:
                images = _counted(film(name, settings), progress)
                video_writer.write_video(layout.video(folder, name), images, settings.frame_rate)
    except OSError as error:
        raise errors.InputError(
            f"{folder}: cannot be written: {error}; give a folder with room and write permission"
        ) from error


def latent(name: str, times: np.ndarray, settings: DemoSettings = DemoSettings()) -> np.ndarray:
    """Computes the true valence and arousal of a recording.

    Over the recording each has mean 0 and reaches 0.8 at its strongest, and the two are
    uncorrelated.

    Args:
      name: the recording's.
      times: [T] seconds; before its start and after its end the curves hold.
      settings: of the folder.

    Returns:
      float64 [T, (valence, arousal)].
    """
    rng = _generator(settings, "latent", name)
    within = rating_times(settings)
    all_times = np.concatenate([within, np.clip(times, 0, settings.seconds)])
    valence, arousal = (
        synthetic_face.smooth_noise(rng, all_times, _LATENT_PERIODS) for _ in range(2)
    )
    count = len(within)
    valence -= valence[:count].mean()
    arousal -= arousal[:count].mean()
    # Few periods fit into a recording: chance alone would correlate the two by a third.
    arousal -= valence * (arousal[:count] @ valence[:count]) / (valence[:count] @ valence[:count])
    curves = np.stack([valence, arousal], axis=1)
    return _LATENT_PEAK * curves[count:] / np.abs(curves[:count]).max(axis=0)


def film(name: str, settings: DemoSettings = DemoSettings()) -> Iterator[np.ndarray]:
    """Draws the pictures of a recording, uint8 RGB [240, 320, 3], one by one."""
    times, rng = _frame_times(settings), _generator(settings, "film", name)
    return synthetic_face.record(rng, times, latent(name, times, settings))


def rate(name: str, target: str, settings: DemoSettings = DemoSettings()) -> np.ndarray:
    """Simulates what the six raters say at `rating_times` about a recording, [R, 6] in [-1, 1]."""
    panel = raters.panel(_generator(settings, "raters", target), target)
    times, column = rating_times(settings), config.TARGETS.index(target)
    values = []
    for rater, habits in zip(raters.NAMES, panel):
        seen = latent(name, times - habits.delay, settings)[:, column]
        rng = _generator(settings, f"{target} by {rater}", name)
        values.append(habits.rate(rng, times, seen))
    return np.stack(values, axis=1)


def rating_times(settings: DemoSettings) -> np.ndarray:
    """Returns when raters say something, [R] in seconds: as in RECOLA, at the very end, too."""
    return np.arange(round(settings.seconds / raters.RATING_STEP) + 1) * raters.RATING_STEP


def _generator(settings: DemoSettings, purpose: str, name: str) -> np.random.Generator:
    return np.random.default_rng([settings.seed, *f"{purpose}/{name}".encode()])


def _frame_times(settings: DemoSettings) -> np.ndarray:
    return np.arange(round(settings.seconds * settings.frame_rate)) / settings.frame_rate


def _counted(images: Iterator[np.ndarray], progress: screen.Progress) -> Iterator[np.ndarray]:
    for image in images:
        yield image
        progress.update()


def _write_ratings(path: pathlib.Path, times: np.ndarray, values: np.ndarray) -> None:
    # Header names carry trailing blanks in some copies of RECOLA.
    header = ";".join(["time", f"{raters.NAMES[0]} ", *raters.NAMES[1:]])
    with files.whole(path) as temporary:
        rows = np.column_stack([times, values])
        np.savetxt(temporary, rows, "%.2f", ";", header=header, comments="")


def _claim(folder: pathlib.Path, settings: DemoSettings) -> None:
    """Refuses a folder that is not for these settings, and states them in a new one."""
    path = folder / _SETTINGS_FILE
    expected = json.dumps({"version": _VERSION, **dataclasses.asdict(settings)}, indent=2)
    if not path.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise errors.InputError(
                f"{folder}: holds files but no {_SETTINGS_FILE}; expected an empty or a new "
                "folder, or one that was generated: give another"
            )
        with files.whole(path) as temporary:
            temporary.write_text(expected + "\n")
    found = path.read_text(errors="replace").strip()
    if found != expected:
        raise errors.InputError(
            f"{path}: the folder was generated with\n{found}\nexpected\n{expected}\nGive "
            "another folder, or delete this one to generate it again"
        )
