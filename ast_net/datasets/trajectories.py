"""FER2013's faces drawn along trajectories of valence and arousal: what the shipped model learned from.

FER2013 has single pictures, each with one of seven expressions. A recording of this data set is a made-up
course of valence and arousal and, for every moment of it, a face whose expression lies near on the
circumplex (Russell 1980). It holds no person's course of expressions and no rater's judgement: it
teaches a model where the expressions lie, and to read them over time.
"""

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from scipy import interpolate, special

from ast_net import errors
from ast_net.cnn import backbone, expression
from ast_net.datasets import builder, fer2013, fer2013_files, records

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
}
COORDINATES = np.array([CIRCUMPLEX[name] for name in expression.EXPRESSIONS])

SECONDS = 120
FRAME_RATE = 25
# From one turning point of a trajectory to the next, in seconds.
TURNING = (2.0, 8.0)
# How much of each expression a turning point has: a Dirichlet distribution, the smaller the purer.
PURITY = 0.2
# Distance on the circumplex at which an expression is seldom drawn.
NEARNESS = 0.25
# The mean time for which a face stays, in seconds; each recording has its own in this range.
STAY = (0.3, 3.0)

_FACES = {"train": "train", "dev": "public_test", "test": "private_test"}


class Fer2013Trajectories(builder.RecordsBuilder):
    """Segments of made-up recordings of FER2013's faces, rated by the trajectory that they were drawn along."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = fer2013.Fer2013.MANUAL_DOWNLOAD_INSTRUCTIONS

    PARTITIONS = {
        "train": tuple(f"T{number}" for number in range(1, 49)),
        "dev": tuple(f"T{number}" for number in range(49, 61)),
        "test": tuple(f"T{number}" for number in range(61, 73)),
    }

    def made_of(self, folder: pathlib.Path) -> dict[str, str]:
        return {"fer2013": fer2013_files.source_id(fer2013_files.find_source(folder))}

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        self.info.metadata["sources"] = self.made_of(pathlib.Path(dl_manager.manual_dir))
        data_dir = pathlib.Path(self.data_dir).parents[2]
        faces = fer2013.load(str(data_dir), str(dl_manager.manual_dir))
        if "public_test" not in faces:
            raise errors.InputError(
                f"{dl_manager.manual_dir}: found pictures in folders, which have no public_test; expected "
                f"one of {', '.join(fer2013_files.CSV_NAMES)}"
            )
        partitions = self.builder_config.partitions or self.PARTITIONS
        return {
            split: self._generate_examples(faces[_FACES[split]], names)
            for split, names in partitions.items()
        }

    def _generate_examples(
        self, faces: fer2013_files.Split, names: tuple[str, ...]
    ) -> Iterator[tuple[str, dict]]:
        settings: records.RecordsConfig = self.builder_config
        images, labels = faces
        logging.info("features of %d faces for %d recordings", len(images), len(names))
        cnn = backbone.load(settings.backbone, settings.backbone_weights)
        features = backbone.extract_pictures(cnn, images)
        for name in names:
            rng = np.random.default_rng(list(name.encode()))
            times = np.arange(SECONDS * FRAME_RATE) / FRAME_RATE
            course = trajectory(rng, times)
            shown = draw_faces(rng, times, course, labels)
            frames = records.Frames(name, times, np.ones(len(times), bool), course)
            yield from records.examples(frames, features[shown], settings.overlap)


def trajectory(rng: np.random.Generator, times: np.ndarray) -> np.ndarray:
    """A smooth course of valence and arousal among the expressions' places, float64 [T, 2].

    Turning points are mixtures of the expressions, and so lie where faces can be drawn for them; between
    two of them either target rises or falls without overshoot.

    Args:
      rng: decides the course.
      times: [T] seconds, increasing.
    """
    turns = [times[0]]
    while turns[-1] <= times[-1]:
        turns.append(turns[-1] + rng.uniform(*TURNING))
    mixtures = rng.dirichlet(np.full(len(COORDINATES), PURITY), len(turns))
    return interpolate.PchipInterpolator(turns, mixtures @ COORDINATES)(times)


def expression_probabilities(course: np.ndarray) -> np.ndarray:
    """How likely each expression is drawn at places [T, 2]: the nearer, the likelier; float64 [T, 7]."""
    squares = np.square(course[:, np.newaxis] - COORDINATES).sum(axis=-1)
    return special.softmax(-squares / (2 * NEARNESS**2), axis=1)


def draw_faces(
    rng: np.random.Generator, times: np.ndarray, course: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """The face of each frame, as its row among the labels, int64 [T].

    A face stays for a while; the next has an expression drawn for where the course is by then.

    Args:
      rng: decides.
      times: [T] seconds.
      course: [T, 2], as of `trajectory`.
      labels: the expression of each face to draw from, [n].
    """
    rows = [np.flatnonzero(labels == number) for number in range(len(COORDINATES))]
    probabilities = expression_probabilities(course)
    mean_stay = np.exp(rng.uniform(*np.log(STAY)))
    shown = np.empty(len(times), np.int64)
    frame = 0
    while frame < len(times):
        until = np.searchsorted(times, times[frame] + rng.exponential(mean_stay), side="right")
        drawn = rng.choice(len(rows), p=probabilities[frame])
        shown[frame:until] = rng.choice(rows[drawn])
        frame = int(until)
    return shown
