"""FER2013's faces drawn along trajectories of valence and arousal: what the shipped model learned from.

FER2013 has single pictures, each with one of seven expressions. A recording of this data set is a made-up
course of valence and arousal and, for every moment of it, a face whose expression lies near on the
circumplex (Russell 1980). It holds no person's course of expressions and no rater's judgement: it
teaches a model where the expressions lie, and to read them over time.
"""

import pathlib

import numpy as np
from scipy import interpolate, special

from ast_net import config, errors
from ast_net.cnn import augmentation, backbone
from ast_net.datasets import fer2013, reader
from ast_net.records import example_format, expression_pictures, making

# Pleasure and arousal of happy, surprised, ... as rated by the students of Russell and Mehrabian (1977,
# "Evidence for a three-factor theory of emotions", Table 1). A neutral face is the origin.
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
# How long a trajectory rests at a place, and how long it takes to the next, in seconds.
REST = (0.5, 6.0)
MOVE = (0.5, 3.0)
# How much of each expression such a place has: a Dirichlet distribution, the smaller the purer.
CONCENTRATION = 0.1
# Distance on the circumplex at which an expression is seldom drawn.
NEARNESS = 0.2
# The mean time for which a face stays, in seconds; each recording has its own in this range.
STAY = (0.2, 1.0)

_FACES = {"train": "train", "dev": "public_test", "test": "private_test"}


class TrajectoryReader(reader.Reader):
    """Made-up recordings of FER2013's faces, rated by the trajectory that they were drawn along."""

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
                f"{folder}: found no pictures for the recording {name}; expected one of "
                f"{', '.join(fer2013.CSV_NAMES)}, and names such as train1, dev1 and test1"
            )
        return reader.Source(name, file, [], dict)


class TrajectoryMaker:
    """Makes recordings' files from FER2013's faces, as `making.VideoMaker` does from videos."""

    def __init__(self, settings: config.Preparation) -> None:
        """Loads faces and CNN.

        Raises:
          InputError: FER2013 or the CNN's weights cannot be read.
        """
        self._settings = settings
        self._faces = expression_pictures.load("fer2013", settings.data_dir, settings.manual_dir)
        self._cnn = backbone.load(settings.backbone, settings.backbone_weights)

    def make(self, job: making.Job) -> None:
        """Writes a recording's file, whole or not at all.

        Raises:
          OSError: nothing can be written.
        """
        split = next(split for split in _FACES if job.name.startswith(split))
        images, labels = self._faces[_FACES[split]]
        times = np.arange(SECONDS * FRAME_RATE) / FRAME_RATE
        rng = np.random.default_rng(list(job.name.encode()))
        course = trajectory(rng, times)
        rows, stays = draw_faces(rng, times, course, labels)
        pictures = _changed(images[rows], rng) if split == "train" else images[rows]
        features = np.repeat(backbone.extract_pictures(self._cnn, pictures), stays, axis=0)
        gold = course[:, [config.TARGETS.index(target) for target in self._settings.targets]]
        valid = np.ones(len(times), bool)
        frames = example_format.RecordingFrames(job.name, times, valid, gold)
        making.write(job, frames, features, self._settings)


def _changed(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pictures uint8 [n, 48, 48, 1], changed as those that the CNN learned from."""
    seed = tuple(rng.integers(2**31, size=2).tolist())
    pictures = augmentation.augment(images.astype(np.float32) / 255, seed)
    return np.rint(255 * pictures.numpy()).astype(np.uint8)


def trajectory(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """A smooth course of valence and arousal among the expressions' places, float64 [T, 2].

    It rests at mixtures of the expressions' places, and so where faces can be drawn for it, and goes from
    one to the next without overshoot.

    Args:
      rng: decides the course.
      times: [T] seconds, increasing.
    """
    knots, places = [times[0]], []
    while knots[-1] <= times[-1]:
        place = rng.dirichlet(np.full(len(COORDINATES), CONCENTRATION)) @ COORDINATES
        places += [place, place]
        knots.append(knots[-1] + rng.uniform(*REST))
        knots.append(knots[-1] + rng.uniform(*MOVE))
    places.append(place)
    return interpolate.PchipInterpolator(knots, places)(times)


def expression_probabilities(course: np.ndarray) -> np.ndarray:
    """How likely each expression is drawn at places [T, 2]: the nearer, the likelier; float64 [T, 7]."""
    squares = np.square(course[:, np.newaxis] - COORDINATES).sum(axis=-1)
    return special.softmax(-squares / (2 * NEARNESS**2), axis=1)


def draw_faces(
    rng: np.random.Generator, times: np.ndarray, course: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The faces that are seen one after the other, and for how many frames each.

    A face stays for a while; the next has an expression drawn for where the course is by then.

    Args:
      rng: decides.
      times: [T] seconds.
      course: [T, 2], as of `trajectory`.
      labels: the expression of each face to draw from, [n].

    Returns:
      Rows among the labels, int64 [K], and frames, int64 [K], that sum to T.
    """
    rows = [np.flatnonzero(labels == number) for number in range(len(COORDINATES))]
    probabilities = expression_probabilities(course)
    mean_stay = np.exp(rng.uniform(*np.log(STAY)))
    shown, starts = [], [0]
    while starts[-1] < len(times):
        frame = starts[-1]
        drawn = rng.choice(len(rows), p=probabilities[frame])
        shown.append(rng.choice(rows[drawn]))
        until = np.searchsorted(times, times[frame] + rng.exponential(mean_stay), side="right")
        starts.append(int(until))
    return np.array(shown), np.diff(starts)
