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
from ast_net.cnn import augmentation, backbone, expression_head
from ast_net.datasets import fer2013
from ast_net.records import builder, example_format, expression_pictures

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
COORDINATES = np.array([CIRCUMPLEX[name] for name in expression_head.EXPRESSIONS])

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

_BATCH = 256
_FACES = {"train": "train", "dev": "public_test", "test": "private_test"}


class Fer2013Trajectories(builder.RecordsBuilder):
    """Segments of made-up recordings of FER2013's faces, rated by the trajectory that they were drawn along."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = expression_pictures.Fer2013.MANUAL_DOWNLOAD_INSTRUCTIONS

    PARTITIONS = {
        "train": tuple(f"train{number}" for number in range(1, 193)),
        "dev": tuple(f"dev{number}" for number in range(1, 13)),
        "test": tuple(f"test{number}" for number in range(1, 13)),
    }

    def made_of(self, folder: pathlib.Path) -> dict[str, str]:
        return {"fer2013": fer2013.source_id(fer2013.find_source(folder))}

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        self.info.metadata["sources"] = self.made_of(pathlib.Path(dl_manager.manual_dir))
        data_dir = pathlib.Path(self.data_dir).parents[2]
        faces = expression_pictures.load(str(data_dir), str(dl_manager.manual_dir))
        if "public_test" not in faces:
            raise errors.InputError(
                f"{dl_manager.manual_dir}: found pictures in folders, which have no public_test; expected "
                f"one of {', '.join(fer2013.CSV_NAMES)}"
            )
        partitions = self.PARTITIONS | self.builder_config.partitions
        return {
            split: self._generate_examples(faces[_FACES[split]], names, split == "train")
            for split, names in partitions.items()
        }

    def _generate_examples(
        self, faces: fer2013.Split, names: tuple[str, ...], changed: bool
    ) -> Iterator[tuple[str, dict]]:
        images, labels = faces
        times = np.arange(SECONDS * FRAME_RATE) / FRAME_RATE
        courses, looks, lasting = [], [], []
        for name in names:
            rng = np.random.default_rng(list(name.encode()))
            courses.append(trajectory(rng, times))
            rows, frames = draw_faces(rng, times, courses[-1], labels)
            looks.append(rows)
            lasting.append(frames)
        logging.info("features of %d faces for %d recordings", sum(map(len, looks)), len(names))
        features = iter(self._features(images[np.concatenate(looks)], changed))
        for name, course, rows, frames in zip(names, courses, looks, lasting, strict=True):
            own = np.stack([next(features) for _ in rows])
            valid = np.ones(len(times), bool)
            yield from example_format.examples(
                example_format.Frames(name, times, valid, course),
                np.repeat(own, frames, axis=0),
                self.builder_config.overlap,
            )

    def _features(self, images: np.ndarray, changed: bool) -> np.ndarray:
        """fc6 of pictures, which are changed as those that the CNN learned from, or as they are."""
        settings: example_format.RecordsConfig = self.builder_config
        if changed:
            pictures = [
                augmentation.augment(
                    images[first : first + _BATCH].astype(np.float32) / 255, (0, first)
                )
                for first in range(0, len(images), _BATCH)
            ]
            images = np.concatenate([np.rint(255 * batch).astype(np.uint8) for batch in pictures])
        cnn = backbone.load(settings.backbone, settings.backbone_weights)
        return backbone.extract_pictures(cnn, images)


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
