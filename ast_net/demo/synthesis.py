"""Generates the recordings of the demo data set, which needs no download and no licence.

Each recording is a video of a face whose expression follows known smooth curves of valence and
arousal, with the ratings of six simulated raters. Everything is determined by the seed and the
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

# Increase this whenever the code generates different files from the same settings.
_VERSION = 2
_SETTINGS_FILE = "synthesis.json"
_LATENT_PEAK = 0.8
# Shortest and longest period of the curves, in seconds.
_LATENT_PERIODS = (7.0, 20.0)


class FolderLayout(Protocol):
    """Gives the paths of a recording's files in the folder."""

    def video(self, folder: pathlib.Path, recording: str) -> pathlib.Path: ...

    def rating_file(self, folder: pathlib.Path, target: str, recording: str) -> pathlib.Path: ...


@dataclasses.dataclass(frozen=True)
class DemoSettings:
    """Everything that a generated folder depends on, except the names of the recordings.

    Attributes:
      seed: 0 or more.
      seconds: length of each recording.
      frame_rate: frame rate of the videos, in frames a second.
    """

    seed: int = 0
    seconds: float = 40.0
    frame_rate: int = 25

    def __post_init__(self) -> None:
        if self.seed < 0 or not self.seconds >= 1 or self.frame_rate < 1:
            raise errors.InputError(
                f"{self}: expected a seed of 0 or more, a length of at least one second, and at "
                "least one frame a second"
            )


def generate(
    folder: str | pathlib.Path,
    recordings: Sequence[str],
    layout: FolderLayout,
    settings: DemoSettings = DemoSettings(),
) -> None:
    """Writes the recordings that the folder does not have yet, each file complete or not at all.

    A recording depends only on its name and the settings. Different names use independent random
    numbers.

    Args:
      folder: created if necessary; the file `synthesis.json` in it records the settings.
      recordings: names of the recordings, such as P16.
      layout: gives the path of each file; RECOLA's layout for the demo.
      settings: seed, length and frame rate.

    Raises:
      InputError: the folder was generated with other settings, contains other files, or cannot be
        written.
    """
    folder = pathlib.Path(folder)
    try:
        # A second process would replace videos by equal ones, and records made of the first would
        # count as those of an older file.
        with files.alone(folder, "generating recordings"):
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
                    path = layout.video(folder, name)
                    video_writer.write_video(path, images, settings.frame_rate)
    except OSError as error:
        raise errors.InputError(
            f"{folder}: cannot be written ({error}); choose a folder with free space and write "
            "permission"
        ) from error


def latent(name: str, times: np.ndarray, settings: DemoSettings = DemoSettings()) -> np.ndarray:
    """Computes the true valence and arousal of a recording.

    Over the recording, each has mean 0 and a largest absolute value of 0.8, and the two are
    uncorrelated.

    Args:
      name: name of the recording.
      times: [T] seconds; before the start and after the end of the recording, the curves are
        constant.
      settings: settings of the folder.

    Returns:
      float64 [T, (valence, arousal)].
    """
    rng = _generator(settings, "latent", name)
    # The moments are those at the times of the ratings, so that they do not depend on `times`.
    reference_times = rating_times(settings)
    all_times = np.concatenate([reference_times, np.clip(times, 0, settings.seconds)])
    valence, arousal = (
        synthetic_face.smooth_noise(rng, all_times, _LATENT_PERIODS) for _ in range(2)
    )
    count = len(reference_times)
    valence -= valence[:count].mean()
    arousal -= arousal[:count].mean()
    # A recording has only a few periods, so that the two would correlate by about 1/3 by chance.
    arousal -= valence * (arousal[:count] @ valence[:count]) / (valence[:count] @ valence[:count])
    curves = np.stack([valence, arousal], axis=1)
    return _LATENT_PEAK * curves[count:] / np.abs(curves[:count]).max(axis=0)


def film(name: str, settings: DemoSettings = DemoSettings()) -> Iterator[np.ndarray]:
    """Yields the frames of a recording, uint8 RGB [240, 320, 3]."""
    times, rng = _frame_times(settings), _generator(settings, "film", name)
    return synthetic_face.record(rng, times, latent(name, times, settings))


def rate(name: str, target: str, settings: DemoSettings = DemoSettings()) -> np.ndarray:
    """Simulates the six raters' ratings of a recording at `rating_times`, [R, 6] in [-1, 1]."""
    panel = raters.panel(_generator(settings, "raters", target), target)
    times, column = rating_times(settings), config.TARGETS.index(target)
    ratings = []
    for rater_name, rater in zip(raters.NAMES, panel):
        delayed = latent(name, times - rater.delay, settings)[:, column]
        rng = _generator(settings, f"{target} by {rater_name}", name)
        ratings.append(rater.rate(rng, times, delayed))
    return np.stack(ratings, axis=1)


def rating_times(settings: DemoSettings) -> np.ndarray:
    """Returns the times of the ratings, [R] in seconds; as in RECOLA, the end is included."""
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
    # Some copies of RECOLA have trailing spaces in the header.
    header = ";".join(["time", f"{raters.NAMES[0]} ", *raters.NAMES[1:]])
    with files.whole(path) as temporary:
        rows = np.column_stack([times, values])
        np.savetxt(temporary, rows, "%.2f", ";", header=header, comments="")


def _claim(folder: pathlib.Path, settings: DemoSettings) -> None:
    """Writes the settings into a new folder; refuses a folder that has other settings."""
    path = folder / _SETTINGS_FILE
    expected = json.dumps({"version": _VERSION, **dataclasses.asdict(settings)}, indent=2)
    if not path.exists():
        if folder.is_dir() and not files.is_empty(folder):
            raise errors.InputError(
                f"{folder}: the folder is not empty and has no {_SETTINGS_FILE}; expected a new, "
                "an empty or a generated folder: choose another"
            )
        with files.whole(path) as temporary:
            temporary.write_text(expected + "\n")
    existing = path.read_text(errors="replace").strip()
    if existing != expected:
        raise errors.InputError(
            f"{path}: the folder was generated with\n{existing}\nexpected\n{expected}\nChoose "
            "another folder, or delete this one to generate it again"
        )
