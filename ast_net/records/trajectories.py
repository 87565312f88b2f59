"""Synthetic recordings of FER2013's faces, from which the included temporal model was trained.

FER2013 has single pictures, and FER+ ten people's votes on each of them. The votes give a picture a
place on the circumplex (Russell 1980). A recording of this data set shows one face after another,
and its valence and arousal are the place of the face that is shown. It shows no real person's
expression over time; it teaches a model where faces lie, and to follow them without delay.
"""

import pathlib

import numpy as np
from scipy import spatial

from ast_net import config, errors
from ast_net.cnn import augmentation, backbone
from ast_net.datasets import fer2013, ferplus, reader
from ast_net.records import example_format, expression_pictures, making

SECONDS = 120
FRAME_RATE = 25
# How long a face rests, and how long the way to the next one takes if that does not come at once:
# shortest and longest, in seconds.
REST = (0.5, 6.0)
MOVE = (0.3, 2.0)
# The part of the faces that come at once, as after a cut.
JUMPS = 0.5
# The mean time for which a picture is shown, in seconds. Then the same face is augmented anew, or,
# on the way, another face is shown.
STAY = 0.3
# A face on the way is one of this many whose places are the nearest.
NEAREST = 20
# 0 draws faces as often as FER+ has them, 1 all expressions about equally often.
BALANCE = 0.5

_FACES = {"train": "train", "dev": "public_test", "test": "private_test"}


class TrajectoryReader(reader.Reader):
    """Synthetic recordings of FER2013's faces; their gold standard is what FER+'s raters saw."""

    OF_VIDEOS = False
    FRAME_RATE = FRAME_RATE

    @classmethod
    def instructions(cls) -> str:
        return expression_pictures.Ferplus.MANUAL_DOWNLOAD_INSTRUCTIONS

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        counts = {"train": 96, "dev": 12, "test": 12}
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
        ferplus.find_votes(folder)  # Missing votes are to be noticed before anything is made.
        return reader.Source(name, file, [], dict)


class TrajectoryMaker:
    """Makes records from FER2013's faces, as `making.VideoMaker` does from videos."""

    def __init__(self, settings: config.Preparation) -> None:
        """Loads the faces and the CNN.

        Raises:
          InputError: FER2013, FER+ or the CNN's weights cannot be read.
        """
        self._settings = settings
        self._splits = expression_pictures.load("ferplus", settings.data_dir, settings.manual_dir)
        self._cnn = backbone.load(settings.backbone, settings.backbone_weights)

    def make(self, job: making.Job) -> None:
        """Writes the records of a recording.

        Raises:
          OSError: the file cannot be written.
        """
        split = next(split for split in _FACES if job.name.startswith(split))
        images, votes = self._splits[_FACES[split]]
        kept, probabilities = ferplus.distributions(votes)
        images, places = images[kept], ferplus.places(probabilities)
        times = np.arange(SECONDS * FRAME_RATE) / FRAME_RATE
        rng = np.random.default_rng(list(job.name.encode()))
        rows, durations = draw_faces(rng, times, places, rest_chances(probabilities))
        pictures = _augmented(images[rows], rng) if split == "train" else images[rows]
        features = np.repeat(backbone.extract_pictures(self._cnn, pictures), durations, axis=0)
        columns = [config.TARGETS.index(target) for target in self._settings.targets]
        gold = np.repeat(places[rows], durations, axis=0)[:, columns]
        valid = np.ones(len(times), bool)
        frames = example_format.RecordingFrames(job.name, times, valid, gold)
        making.write(job, frames, features, self._settings)


def _augmented(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Augments pictures, uint8 [n, 48, 48, 1], in the same way as for the training of the CNN."""
    seed = tuple(rng.integers(2**31, size=2).tolist())
    pictures = augmentation.augment(images.astype(np.float32) / 255, seed)
    return np.rint(255 * pictures.numpy()).astype(np.uint8)


def rest_chances(probabilities: np.ndarray) -> np.ndarray:
    """Computes how likely each face rests, [n], so that rare expressions are drawn more often.

    Args:
      probabilities: of the expressions of each face, [n, K].
    """
    shares = probabilities.mean(axis=0, dtype=np.float64)
    weights = np.power(shares, -BALANCE, out=np.zeros_like(shares), where=shares > 0)
    sums = probabilities @ weights
    return sums / sums.sum()


def draw_faces(
    rng: np.random.Generator, times: np.ndarray, places: np.ndarray, chances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the faces to show one after the other, and for how many frames each.

    A face rests for a while, then comes the next one: at once, or after faces whose places are near
    the straight line between the two. A resting face is listed several times: every time that it is
    to be augmented anew.

    Args:
      rng: the source of randomness.
      times: [T] seconds, increasing.
      places: valence and arousal of each available face, [n, 2].
      chances: how likely each of them rests, [n].

    Returns:
      The index of each face to show, int64 [K], and its number of frames, int64 [K]; these are
      positive and sum to T.
    """
    tree, near = spatial.KDTree(places), min(NEAREST, len(places))
    faces, ends, time = [], [], times[0]
    face = rng.choice(len(places), p=chances)
    while time <= times[-1]:
        stays = _stays(rng, time, rng.uniform(*REST))
        faces.append(np.full(len(stays), face))
        ends.append(stays)
        time, following = stays[-1], rng.choice(len(places), p=chances)
        if rng.uniform() >= JUMPS:
            stays = _stays(rng, time, rng.uniform(*MOVE))
            way = np.linspace(places[face], places[following], len(stays) + 1)[1:]
            neighbours = tree.query(way, near)[1].reshape(len(way), near)
            faces.append(rng.permuted(neighbours, axis=1)[:, 0])
            ends.append(stays)
            time = stays[-1]
        face = following
    frames = np.diff(np.searchsorted(times, np.concatenate(ends)), prepend=0)
    shown = frames > 0
    return np.concatenate(faces)[shown], frames[shown]


def _stays(rng: np.random.Generator, begin: float, duration: float) -> np.ndarray:
    """Draws when each picture ends that is shown in this time, float64 [k] in seconds."""
    ends = [begin]
    while ends[-1] < begin + duration:
        ends.append(min(ends[-1] + rng.exponential(STAY), begin + duration))
    return np.array(ends[1:])
