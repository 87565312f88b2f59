"""Synthetic recordings of FER2013's faces, from which the shipped temporal model was trained.

FER2013 has single pictures, each with one of seven expressions. A recording of this data set is a
random trajectory of valence and arousal. Its frames are faces of FER2013 whose expressions lie near
the trajectory on the circumplex (Russell 1980). It shows no real person's expression over time, and
no rater judged it; it teaches a model where the expressions lie and to follow them over time.
"""

import pathlib

import numpy as np
from scipy import interpolate, special

from ast_net import config, errors
from ast_net.cnn import augmentation, backbone
from ast_net.datasets import fer2013, reader
from ast_net.records import example_format, expression_pictures, making

# Pleasure and arousal of "happy", "surprised" and so on, as students rated these terms (Russell and
# Mehrabian 1977, "Evidence for a three-factor theory of emotions", Table 1). A neutral face is the
# origin.
CIRCUMPLEX = {
    "angry": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "happy": (0.81, 0.51),
    "sad": (-0.63, -0.27),
    "surprise": (0.40, 0.67),
    "neutral": (0.0, 0.0),
    "contempt": (-0.23, 0.31),
}
COORDINATES = np.array([CIRCUMPLEX[name] for name in fer2013.EXPRESSIONS])

SECONDS = 120
FRAME_RATE = 25
# How long a trajectory stays at a point, and how long it takes to the next one: shortest and
# longest, in seconds.
REST = (0.5, 6.0)
MOVE = (0.5, 3.0)
# A point is a mixture of the expressions with weights from a Dirichlet distribution with this
# parameter. The smaller it is, the more a single expression prevails.
CONCENTRATION = 0.1
# Standard deviation, on the circumplex, of the expressions that are drawn around a point.
SPREAD = 0.2
# The mean time for which a face is shown, in seconds; each recording has one in this range.
STAY = (0.2, 1.0)

_FACES = {"train": "train", "dev": "public_test", "test": "private_test"}


class TrajectoryReader(reader.Reader):
    """Synthetic recordings of FER2013's faces; their gold standard is the trajectory."""

    OF_VIDEOS = False
    FRAME_RATE = FRAME_RATE

    @classmethod
    def instructions(cls) -> str:
        return expression_pictures.Fer2013.MANUAL_DOWNLOAD_INSTRUCTIONS

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        counts = {"train": 192, "dev": 12, "test": 12}
        return {
            split: tuple(f"{split}{number}" for number in range(1, count + 1))
            for split, count in counts.items()
        }

    def source(self, folder: pathlib.Path, name: str) -> reader.Source:
        file = fer2013.find_source(folder)
        if file.is_dir() or not name.startswith(tuple(_FACES)):
            raise errors.InputError(
                f"{folder}: has no pictures for the recording {name}; expected one of "
                f"{', '.join(fer2013.CSV_NAMES)}, and recordings such as train1, dev1 and test1"
            )
        return reader.Source(name, file, [], dict)


class TrajectoryMaker:
    """Makes records from FER2013's faces, as `making.VideoMaker` does from videos."""

    def __init__(self, settings: config.Preparation) -> None:
        """Loads the faces and the CNN.

        Raises:
          InputError: FER2013 or the CNN's weights cannot be read.
        """
        self._settings = settings
        self._faces = expression_pictures.load("fer2013", settings.data_dir, settings.manual_dir)
        self._cnn = backbone.load(settings.backbone, settings.backbone_weights)

    def make(self, job: making.Job) -> None:
        """Writes the records of a recording.

        Raises:
          OSError: the file cannot be written.
        """
        split = next(split for split in _FACES if job.name.startswith(split))
        images, labels = self._faces[_FACES[split]]
        times = np.arange(SECONDS * FRAME_RATE) / FRAME_RATE
        rng = np.random.default_rng(list(job.name.encode()))
        trajectory = draw_trajectory(rng, times)
        rows, durations = draw_faces(rng, times, trajectory, labels)
        pictures = _augmented(images[rows], rng) if split == "train" else images[rows]
        features = np.repeat(backbone.extract_pictures(self._cnn, pictures), durations, axis=0)
        gold = trajectory[:, [config.TARGETS.index(target) for target in self._settings.targets]]
        valid = np.ones(len(times), bool)
        frames = example_format.RecordingFrames(job.name, times, valid, gold)
        making.write(job, frames, features, self._settings)


def _augmented(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Augments pictures, uint8 [n, 48, 48, 1], in the same way as for the training of the CNN."""
    seed = tuple(rng.integers(2**31, size=2).tolist())
    pictures = augmentation.augment(images.astype(np.float32) / 255, seed)
    return np.rint(255 * pictures.numpy()).astype(np.uint8)


def draw_trajectory(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """Draws a smooth trajectory of valence and arousal, float64 [T, 2].

    It stays for a while at a random mixture of the expressions' coordinates, where there are faces
    to show, and then moves on to the next one, without overshooting.

    Args:
      rng: the source of randomness.
      times: [T] seconds, increasing.
    """
    knots, points = [times[0]], []
    while knots[-1] <= times[-1]:
        point = rng.dirichlet(np.full(len(COORDINATES), CONCENTRATION)) @ COORDINATES
        points += [point, point]
        knots.append(knots[-1] + rng.uniform(*REST))
        knots.append(knots[-1] + rng.uniform(*MOVE))
    points.append(point)
    return interpolate.PchipInterpolator(knots, points)(times)


def expression_probabilities(trajectory: np.ndarray) -> np.ndarray:
    """Returns the probability of drawing each expression at points [T, 2], float64 [T, 7].

    It is proportional to a Gaussian of the distance from the point to the expression.
    """
    squares = np.square(trajectory[:, np.newaxis] - COORDINATES).sum(axis=-1)
    return special.softmax(-squares / (2 * SPREAD**2), axis=1)


def draw_faces(
    rng: np.random.Generator, times: np.ndarray, trajectory: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the faces to show one after the other, and for how many frames each.

    Each face is shown for a random time. The expression of the next face is then drawn for the
    point that the trajectory has reached.

    Args:
      rng: the source of randomness.
      times: [T] seconds.
      trajectory: [T, 2], as from `draw_trajectory`.
      labels: the expression of each available face, [n].

    Returns:
      The index of each face among the labels, int64 [K], and its number of frames, int64 [K]; these
      sum to T.
    """
    rows = [np.flatnonzero(labels == number) for number in range(len(COORDINATES))]
    probabilities = expression_probabilities(trajectory)
    mean_duration = np.exp(rng.uniform(*np.log(STAY)))
    faces, starts = [], [0]
    while starts[-1] < len(times):
        frame = starts[-1]
        expression = rng.choice(len(rows), p=probabilities[frame])
        faces.append(rng.choice(rows[expression]))
        end = times[frame] + rng.exponential(mean_duration)
        starts.append(int(np.searchsorted(times, end, side="right")))
    return np.array(faces), np.diff(starts)
