"""The faces on which every int8 network is calibrated, so that the same network comes out everywhere.

They are generated and packaged (tools/make_calibration_faces.py): calibrated on whatever faces came first, features
would depend on the order in which somebody looked at videos.
"""

import functools
import hashlib
import pathlib

import cv2
import numpy as np

FILE = pathlib.Path(__file__).with_name("calibration_faces.png")
ROWS, COLUMNS = 8, 8
# The file holds faces of half the size: a fifth of the bytes, and the networks come out as good.
_SIZE, _STORED_SIZE = 224, 112


@functools.cache
def faces() -> np.ndarray:
    """The packaged faces, uint8 RGB [64, 224, 224, 3], aligned as `config.Alignment` says."""
    encoded = np.frombuffer(FILE.read_bytes(), np.uint8)
    mosaic = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB))
    tiles = mosaic.reshape(ROWS, _STORED_SIZE, COLUMNS, _STORED_SIZE, 3).swapaxes(1, 2)
    # OpenCV promises the same pixels on every processor for this interpolation alone.
    return np.stack(
        [
            cv2.resize(tile, (_SIZE, _SIZE), interpolation=cv2.INTER_LINEAR_EXACT)
            for tile in tiles.reshape(-1, _STORED_SIZE, _STORED_SIZE, 3)
        ]
    )


def mosaic(faces: np.ndarray) -> np.ndarray:
    """The picture to store faces in: uint8 RGB [64, 224, 224, 3] -> [896, 896, 3]."""
    size = (_STORED_SIZE, _STORED_SIZE)
    tiles = np.stack([cv2.resize(face, size, interpolation=cv2.INTER_AREA) for face in faces])
    rows = tiles.reshape(ROWS, COLUMNS, *tiles.shape[1:]).swapaxes(1, 2)
    return rows.reshape(ROWS * _STORED_SIZE, COLUMNS * _STORED_SIZE, 3)


def digest() -> str:
    """The first 8 digits of the SHA-256 of the faces' pixels."""
    return hashlib.sha256(faces().tobytes()).hexdigest()[:8]
