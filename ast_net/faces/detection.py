"""Detects faces in still pictures with the networks of the mtcnn package."""

import dataclasses
import os

import cv2
import keras
import numpy as np
from mtcnn.utils import bboxes

from ast_net.faces import mtcnn_networks, patches

# The mtcnn package's values. P-Net detects faces of 12 pixels, in smaller and smaller copies of the
# picture.
_PNET_SIZE = 12
_RNET_SIZE, _ONET_SIZE = mtcnn_networks.RNET_SIZE, mtcnn_networks.ONET_SIZE
_SCALE_FACTOR = 0.709
_PNET_THRESHOLD, _RNET_THRESHOLD, _ONET_THRESHOLD = 0.6, 0.7, 0.8

# Limits the memory, whatever the picture shows.
_MAX_CANDIDATES = 1000

# If O-Net moves a square by more than this fraction of its side, it runs again on the new square.
_MAX_OFFSET = 0.05


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture, in pixels.

    Attributes:
      box: x, y of the upper left corner, width, height, float32 [4]; may extend beyond the picture.
      confidence: the probability that this is a face, in [0, 1].
      landmarks: x and y of left eye, right eye, nose, left and right corner of the mouth, float32
        [5, 2]. Left is the left side of the picture.
    """

    box: np.ndarray
    confidence: float
    landmarks: np.ndarray


# Corners x1, y1, x2, y2 [n, 4], landmarks [n, 5, 2] and confidence [n] of n faces.
_OnetOutput = tuple[np.ndarray, ...]


def onet() -> keras.Model:
    """Builds O-Net for programs that locate faces without this package (`serving.formats`).

    Its input is squares, uint8 RGB [B, 48, 48, 3]. It says where each one shows a face, in
    fractions of the square's side from its upper left corner:
    - confidence: the probability that it shows one, [B].
    - box: x1, y1, x2, y2, [B, 4].
    - landmarks: x and y of the points of `Face.landmarks`, [B, 5, 2].
    """
    squares = keras.Input((_ONET_SIZE, _ONET_SIZE, 3), dtype="uint8", name="squares")
    *_, network = mtcnn_networks.models()
    offsets, points, confidence = network((keras.ops.cast(squares, "float32") - 127.5) / 128.0)
    outputs = {
        "confidence": confidence[:, 1],
        "box": keras.ops.concatenate([offsets[:, :2], 1.0 + offsets[:, 2:]], axis=1),
        # O-Net gives all x, then all y.
        "landmarks": keras.ops.transpose(keras.ops.reshape(points, (-1, 2, 5)), (0, 2, 1)),
    }
    return keras.Model({"squares": squares}, outputs, name="onet")


class FaceDetector:
    """MTCNN (Zhang et al., 2016): P-Net proposes squares, R-Net filters them, O-Net adds landmarks.

    The networks and weights come from the mtcnn package, but not its `detect_faces`: with a
    min_face_size well above 20, its picture pyramid goes below the 12 pixels that P-Net needs, and
    it reports the resulting error as a picture without faces. This class also shrinks crops by
    averaging areas instead of sampling, which makes the landmarks steadier.

    The networks are small and called once per frame, so they run on one CPU core even if there is a
    GPU (`lite_network.LiteNetwork`). The detector may run in one thread and a CNN in another.

    From then on OpenCV runs on one thread in this process, too: when its threads have done their
    share of a crop, they wait in busy loops, which took a quarter of the time of `predict`.
    """

    def __init__(self, cache_dir: str | os.PathLike | None = None) -> None:
        """Loads the networks; `cache_dir` is as of `mtcnn_networks.converted`."""
        cv2.setNumThreads(1)
        self._pnet, self._rnet, self._onet = mtcnn_networks.converted(cache_dir)

    def detect(self, image: np.ndarray, min_face_fraction: float = 0.1) -> list[Face]:
        """Detects the faces of a picture, sorted by confidence, highest first.

        Args:
          image: uint8 RGB [H, W, 3].
          min_face_fraction: size of the smallest face to detect, relative to the picture's shorter
            side.

        Raises:
          ValueError: the picture has a different shape or type.
        """
        if image.dtype != np.uint8 or image.shape[2:] != (3,):
            raise ValueError(f"expected uint8 [H, W, 3], found {image.dtype} {image.shape}")
        rows = self._propose(image, min_face_fraction)
        if len(rows):
            offsets, confidence = self._rnet(patches.cut(image, rows[:, 1:5], _RNET_SIZE))
            rows = bboxes.adjust_bboxes(rows, offsets)
            rows = bboxes.replace_confidence(rows, confidence)
            rows = bboxes.pick_matches(rows, score_threshold=_RNET_THRESHOLD)
            rows = bboxes.smart_nms_from_bboxes(rows, threshold=0.7)
        if len(rows):
            squares = _squares(rows[:, 1:5])
            pixels = patches.cut(image, squares, _ONET_SIZE)
            corners, _, confidence = self._run_onet(pixels, squares)
            rows = _mtcnn_rows(corners, confidence)
            rows = bboxes.pick_matches(rows, score_threshold=_ONET_THRESHOLD)
            rows = bboxes.smart_nms_from_bboxes(rows, threshold=0.7, method="min")
        faces = self._refine_squares(image, _squares(rows[:, 1:5]))
        faces = [face for face in faces if face.confidence > _ONET_THRESHOLD]
        return sorted(faces, key=lambda face: -face.confidence)

    def detect_near(
        self, image: np.ndarray, box: np.ndarray, min_face_fraction: float = 0.1
    ) -> list[Face]:
        """Detects faces around a box, in a part of the picture that is twice as large.

        Args:
          image: as of `detect`.
          box: x, y, width, height, [4].
          min_face_fraction: as of `detect`, but faces of less than half the box are not searched.

        Returns:
          The faces as `detect` gives them, in pixels of the whole picture.
        """
        centre, size = box[:2] + box[2:] / 2, box[2:].max()
        left, top = np.maximum(np.rint(centre - size), 0).astype(int)
        right, bottom = np.maximum(np.rint(centre + size), 0).astype(int)
        part = image[top:bottom, left:right]
        if not part.size:
            return []
        smallest = max(size / 2, min_face_fraction * min(image.shape[:2]))
        faces = self.detect(part, smallest / min(part.shape[:2]))
        corner = np.array([left, top], np.float32)
        return [
            Face(face.box + [*corner, 0, 0], face.confidence, face.landmarks + corner)
            for face in faces
        ]

    def refine(self, image: np.ndarray, boxes: np.ndarray) -> list[Face]:
        """Locates faces whose approximate boxes are known, with O-Net alone.

        Args:
          image: uint8 RGB [H, W, 3].
          boxes: x, y, width, height, [K, 4], each off by at most a fifth of the face's size.

        Returns:
          A Face for each box; its confidence says whether there is a face.
        """
        corners = np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]])
        return self._refine_squares(image, _squares(corners))

    def _refine_squares(self, image: np.ndarray, squares: np.ndarray) -> list[Face]:
        """Runs O-Net on squares [K, 4], and once more where it moves a square by much."""
        if not len(squares):
            return []
        corners, landmarks, confidence = self._mean_over_shifts(image, squares)
        offsets = np.abs(_squares(corners) - squares).max(axis=1)
        off = offsets > _MAX_OFFSET * (squares[:, 2] - squares[:, 0])
        if off.any():
            second_pass = self._mean_over_shifts(image, _squares(corners[off]))
            corners[off], landmarks[off], confidence[off] = second_pass
        boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]]).astype(np.float32)
        return list(map(Face, boxes, confidence.tolist(), landmarks.astype(np.float32)))

    def _propose(self, image: np.ndarray, min_face_fraction: float) -> np.ndarray:
        """Finds squares that may hold a face: P-Net over a picture pyramid; `_mtcnn_rows`."""
        height, width = image.shape[:2]
        # At the first level the smallest face has the size that P-Net detects.
        scale = _PNET_SIZE / max(_PNET_SIZE, min_face_fraction * min(height, width))
        halved = patches.halve(image, round(scale * min(height, width)))
        levels, first = [np.empty((0, 6))], None
        while round(scale * min(height, width)) >= _PNET_SIZE:
            size = round(scale * width), round(scale * height)
            # The next levels are made from the first one, which is faster.
            source = halved if first is None else first
            shrunk = cv2.resize(source, size, interpolation=cv2.INTER_AREA)
            first = shrunk if first is None else first
            offsets, confidence = self._pnet(shrunk[np.newaxis])
            rows = _candidates(offsets[0], confidence[0, ..., 1])
            # From the level's pixels to the picture's.
            rows[:, 1:5] *= np.tile([width / size[0], height / size[1]], 2)
            levels.append(bboxes.smart_nms_from_bboxes(rows, threshold=0.5))
            scale *= _SCALE_FACTOR
        rows = _most_confident(np.concatenate(levels))
        rows = bboxes.smart_nms_from_bboxes(rows, threshold=0.7)
        rows[:, 1:5] = _squares(rows[:, 1:5])
        return rows

    def _run_onet(self, pixels: np.ndarray, squares: np.ndarray) -> _OnetOutput:
        """Runs O-Net on the pixels of squares [n, 4]; returns positions in the picture."""
        offsets, points, confidence = self._onet(pixels)
        # O-Net's numbers are fractions of the square's side.
        sides = squares[:, 2:] - squares[:, :2]
        corners = squares + offsets * np.tile(sides, 2)
        points = points.reshape(-1, 2, 5).swapaxes(1, 2)  # O-Net gives all x, then all y
        landmarks = squares[:, np.newaxis, :2] + sides[:, np.newaxis] * points
        return corners, landmarks, confidence[:, 1]

    def _mean_over_shifts(self, image: np.ndarray, squares: np.ndarray) -> _OnetOutput:
        """Averages `_run_onet` over three shifted copies of each of the squares [K, 4].

        The output for one square jitters with its position, by 0.4 pixels of the aligned crop; the
        mean of three by 0.15. Besides, something that resembles a face at one position is rejected
        at the others.
        """
        pictures, shown = patches.cut_shifted(image, squares, _ONET_SIZE)
        outputs = self._run_onet(pictures.reshape(-1, *pictures.shape[2:]), shown.reshape(-1, 4))
        copies = shown.shape[:2]
        return tuple(output.reshape(*copies, *output.shape[1:]).mean(axis=1) for output in outputs)


def _candidates(offsets: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Turns P-Net's offsets [h, w, 4] and confidence [h, w] into `_mtcnn_rows`, the best first.

    As in the mtcnn package, the first square starts at pixel 1, and each next one 2 pixels further.
    """
    y, x = np.nonzero(confidence > _PNET_THRESHOLD)
    first = 2 * np.stack([x, y], axis=1) + 1
    corners = np.hstack([first, first + _PNET_SIZE - 1]) + (_PNET_SIZE - 1.0) * offsets[y, x]
    return _most_confident(_mtcnn_rows(corners, confidence[y, x]))


def _mtcnn_rows(corners: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Returns the mtcnn package's format, [n, 6]: picture (0), x1, y1, x2, y2, confidence."""
    return np.column_stack([np.zeros(len(corners)), corners, confidence])


def _most_confident(rows: np.ndarray) -> np.ndarray:
    return bboxes.sort_by_scores(rows, rows[:, 5], ascending=False)[:_MAX_CANDIDATES]


def _squares(corners: np.ndarray) -> np.ndarray:
    return patches.squares_around(corners, _PNET_SIZE)
