"""Faces in still pictures: the networks of the mtcnn package, in batches."""

import dataclasses
from collections.abc import Sequence

import cv2
import keras
import mtcnn
import numpy as np
from mtcnn.utils import bboxes

from ast_net.faces import lite_network, patches

# The package's own values. P-Net sees faces of 12 pixels, at scales a factor apart.
_PNET_SIZE, _RNET_SIZE, _ONET_SIZE = 12, 24, 48
_SCALE_FACTOR = 0.709
_PNET_THRESHOLD, _RNET_THRESHOLD, _ONET_THRESHOLD = 0.6, 0.7, 0.8

# These bound the memory, whatever the pictures show.
_MAX_BATCH = 16
_MAX_CANDIDATES = 1000

# O-Net's output trembles with the place of its square. Its mean over four squares, moved along the
# diagonals by this fraction of their side, two of them mirrored, trembles a third as much (eyes: 0.15
# instead of 0.45 pixels of the aligned crop), and non-faces that pass in one place fail in others.
_SHIFTS = 0.03 * np.array([[1, 1], [-1, -1], [1, -1], [-1, 1]])
_MIRRORED = np.array([False, False, True, True])
_MIRRORED_LANDMARKS = [1, 0, 2, 4, 3]
# A square that is off by more than this fraction of its side is put right and looked at again.
_MAX_OFFSET = 0.05


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture, in pixels.

    Attributes:
      box: x and y of its upper left corner, width, height, float32 [4]; may reach beyond the picture.
      confidence: the probability of a face, in [0, 1].
      landmarks: x and y of left eye, right eye, nose, left and right corner of the mouth, float32
        [5, 2]; left and right as seen in the picture.
    """

    box: np.ndarray
    confidence: float
    landmarks: np.ndarray


class FaceDetector:
    """MTCNN (Zhang et al., 2016): P-Net proposes squares, R-Net sieves them, O-Net adds landmarks.

    The networks and weights are those of the mtcnn package. Its `detect_faces` is not used: with a
    min_face_size well above 20 its picture pyramid goes below the 12 pixels that P-Net takes, and the
    error is taken for pictures without faces; and when pictures of several sizes share a batch, faces
    are moved by another picture's padding. Here crops are shrunk by area, not sampled, which steadies
    the landmarks.

    The networks are small and called once a frame: they run on one core of the CPU, also where there is
    a GPU (`lite_network.Network`). A detector may be used in a thread of its own while a CNN runs in another.
    """

    def __init__(self) -> None:
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy("float32")  # in 16 bits landmarks would tremble
        try:
            models = [stage.model for stage in mtcnn.MTCNN(device="CPU:0").stages]
        finally:
            keras.config.set_dtype_policy(policy)
        sizes = (None, _RNET_SIZE, _ONET_SIZE)
        self._pnet, self._rnet, self._onet = map(lite_network.Network, models, sizes)

    def detect(
        self, images: Sequence[np.ndarray], min_face_fraction: float = 0.1
    ) -> list[list[Face]]:
        """Finds the faces of each picture, the most confident first.

        Args:
          images: uint8 RGB [H, W, 3]; those of one size are computed together.
          min_face_fraction: smallest face looked for, as a fraction of the shorter side.

        Raises:
          ValueError: a picture has another shape or type.
        """
        for image in images:
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                raise ValueError(f"expected uint8 [H, W, 3], found {image.dtype} {image.shape}")
        faces: list[list[Face]] = [[] for _ in images]
        shapes = [image.shape for image in images]
        for shape in dict.fromkeys(shapes):
            members = [k for k, other in enumerate(shapes) if other == shape]
            for first in range(0, len(members), _MAX_BATCH):
                batch = members[first : first + _MAX_BATCH]
                found = self._detect_batch([images[k] for k in batch], min_face_fraction)
                for k, faces_of_one in zip(batch, found, strict=True):
                    faces[k] = faces_of_one
        return faces

    def refine(self, image: np.ndarray, boxes: np.ndarray) -> list[Face]:
        """What O-Net alone says of places where faces are supposed to be, one Face for each.

        Args:
          image: uint8 RGB [H, W, 3].
          boxes: x, y, width, height, [K, 4], each off by at most a fifth of the face's size.
        """
        return self._look(image, _squares(np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])))

    def _look(self, image: np.ndarray, squares: np.ndarray) -> list[Face]:
        """The faces that O-Net sees around squares [K, 4], which are moved once if they are off."""
        if not len(squares):
            return []
        corners, landmarks, confidence = self._mean_over_shifts(image, squares)
        moved = np.abs(_squares(corners) - squares).max(axis=1)
        off = moved > _MAX_OFFSET * (squares[:, 2] - squares[:, 0])
        if off.any():
            again = self._mean_over_shifts(image, _squares(corners[off]))
            corners[off], landmarks[off], confidence[off] = again
        return [_face(*each) for each in zip(corners, landmarks, confidence, strict=True)]

    def _detect_batch(
        self, images: Sequence[np.ndarray], min_face_fraction: float
    ) -> list[list[Face]]:
        """MTCNN's cascade over pictures of one size. A row: picture, x1, y1, x2, y2, confidence."""
        rows = self._propose(images, min_face_fraction)
        if len(rows):
            offsets, confidence = self._rnet(_cut(images, rows, _RNET_SIZE))
            rows = bboxes.adjust_bboxes(rows, offsets)
            rows = bboxes.replace_confidence(rows, confidence)
            rows = bboxes.pick_matches(rows, score_threshold=_RNET_THRESHOLD)
            rows = bboxes.smart_nms_from_bboxes(rows, threshold=0.7)
        if len(rows):
            squares = rows[:, 1:5] = _squares(rows[:, 1:5])
            corners, _, confidence = self._describe(_cut(images, rows, _ONET_SIZE), squares)
            rows = np.column_stack([rows[:, 0], corners, confidence])
            rows = bboxes.pick_matches(rows, score_threshold=_ONET_THRESHOLD)
            rows = bboxes.smart_nms_from_bboxes(rows, threshold=0.7, method="min")
        faces = []
        for k, image in enumerate(images):
            found = self._look(image, _squares(rows[rows[:, 0] == k, 1:5]))
            found = [face for face in found if face.confidence > _ONET_THRESHOLD]
            faces.append(sorted(found, key=lambda face: -face.confidence))
        return faces

    def _propose(self, images: Sequence[np.ndarray], min_face_fraction: float) -> np.ndarray:
        """P-Net over the pyramid: squares that may hold a face, as rows [n, 6]."""
        height, width = images[0].shape[:2]
        scale = _PNET_SIZE / max(_PNET_SIZE, min_face_fraction * min(height, width))
        rows: list[list[np.ndarray]] = [[] for _ in images]
        largest = images
        while round(scale * min(height, width)) >= _PNET_SIZE:
            size = round(scale * width), round(scale * height)
            shrunk = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in largest]
            if largest is images:  # the further levels need not start from full size
                largest = shrunk
            offsets, confidence = self._pnet(np.stack(shrunk))
            for k in range(len(images)):
                found = _candidates(k, offsets[k], confidence[k, ..., 1])
                found[:, 1:5] *= np.tile([width / size[0], height / size[1]], 2)
                rows[k].append(bboxes.smart_nms_from_bboxes(found, threshold=0.5))
            scale *= _SCALE_FACTOR
        best = [np.empty((0, 6))]
        for levels in rows:
            found = np.concatenate([np.empty((0, 6)), *levels])
            found = bboxes.sort_by_scores(found, found[:, 5], ascending=False)[:_MAX_CANDIDATES]
            best.append(bboxes.smart_nms_from_bboxes(found, threshold=0.7))
        proposals = np.concatenate(best)
        proposals[:, 1:5] = _squares(proposals[:, 1:5])
        return proposals

    def _describe(
        self, pixels: np.ndarray, squares: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """O-Net: corners [n, 4], landmarks [n, 5, 2] and confidence [n] of the faces in squares [n, 4]."""
        offsets, points, confidence = self._onet(pixels)
        sides = squares[:, 2:] - squares[:, :2]
        corners = squares + offsets * np.tile(sides, 2)
        landmarks = squares[:, np.newaxis, :2] + sides[:, np.newaxis] * np.stack(
            [points[:, :5], points[:, 5:]], axis=-1
        )
        return corners, landmarks, confidence[:, 1]

    def _mean_over_shifts(
        self, image: np.ndarray, squares: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As _describe, but the mean over shifted and mirrored copies of each square, [K, 4]."""
        shifts = np.tile(_SHIFTS, 2) * (squares[:, 2] - squares[:, 0])[:, np.newaxis, np.newaxis]
        shifted = np.rint(squares[:, np.newaxis] + shifts)
        mirrored = np.tile(_MIRRORED, len(squares))
        pixels = np.concatenate([patches.cut_together(image, each, _ONET_SIZE) for each in shifted])
        pixels[mirrored] = pixels[mirrored, :, ::-1]
        shifted = shifted.reshape(-1, 4)
        corners, landmarks, confidence = self._describe(pixels, shifted)

        width = shifted[mirrored, 0] + shifted[mirrored, 2]
        right, left = width - corners[mirrored, 0], width - corners[mirrored, 2]
        corners[mirrored, 0], corners[mirrored, 2] = left, right
        landmarks[mirrored] = landmarks[mirrored][:, _MIRRORED_LANDMARKS]
        landmarks[mirrored, :, 0] = width[:, np.newaxis] - landmarks[mirrored, :, 0]
        each = len(squares), len(_SHIFTS)
        return (
            corners.reshape(*each, 4).mean(axis=1),
            landmarks.reshape(*each, 5, 2).mean(axis=1),
            confidence.reshape(each).mean(axis=1),
        )


def _candidates(picture: int, offsets: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """P-Net's squares, the most confident first, as rows [n, 6]: offsets [h, w, 4], confidence [h, w].

    As the package has it, a square begins at pixel 1 of its 12, and the next one 2 pixels further.
    """
    y, x = np.nonzero(confidence > _PNET_THRESHOLD)
    first = 2 * np.stack([x, y], axis=1) + 1
    corners = np.hstack([first, first + _PNET_SIZE - 1]) + (_PNET_SIZE - 1.0) * offsets[y, x]
    found = np.column_stack([np.full(len(x), picture), corners, confidence[y, x]])
    return bboxes.sort_by_scores(found, found[:, 5], ascending=False)[:_MAX_CANDIDATES]


def _face(corners: np.ndarray, landmarks: np.ndarray, confidence: float) -> Face:
    box = np.concatenate([corners[:2], corners[2:] - corners[:2]]).astype(np.float32)
    return Face(box, float(confidence), landmarks.astype(np.float32))


def _squares(corners: np.ndarray) -> np.ndarray:
    return patches.squares_around(corners, _PNET_SIZE)


def _cut(images: Sequence[np.ndarray], rows: np.ndarray, size: int) -> np.ndarray:
    return np.stack([patches.cut(images[int(row[0])], row[1:5], size) for row in rows])
