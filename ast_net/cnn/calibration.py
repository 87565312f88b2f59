"""The faces on which every int8 network is calibrated, so that it is the same everywhere.

They are generated (tools/make_calibration_faces.py) and come with the package: if the network were
calibrated on the first video's faces, features would depend on which video came first.
"""

import functools
import hashlib
import pathlib

import cv2
import numpy as np

FILE = pathlib.Path(__file__).with_name("calibration_faces.png")
ROWS, COLUMNS = 8, 8
# Stored at half the size: a third of the bytes, and int8 is as accurate.
_SIZE, _STORED_SIZE = 224, 112


@functools.cache
def faces() -> np.ndarray:
    """Reads the packaged faces, uint8 RGB [64, 224, 224, 3], aligned as `config.Alignment` says."""
    mosaic = np.asarray(cv2.imread(str(FILE), cv2.IMREAD_COLOR_RGB))
    tiles = mosaic.reshape(ROWS, _STORED_SIZE, COLUMNS, _STORED_SIZE, 3).swapaxes(1, 2)
    size = (_SIZE, _SIZE)
    # The interpolation for which OpenCV promises the same pixels on every processor.
    exact = cv2.INTER_LINEAR_EXACT
    tiles = tiles.reshape(-1, _STORED_SIZE, _STORED_SIZE, 3)
    return np.stack([cv2.resize(tile, size, interpolation=exact) for tile in tiles])


def mosaic(faces: np.ndarray) -> np.ndarray:
    """Lays faces out as the picture to store: uint8 RGB [64, 224, 224, 3] -> [896, 896, 3]."""
    size = (_STORED_SIZE, _STORED_SIZE)
    tiles = np.stack([cv2.resize(face, size, interpolation=cv2.INTER_AREA) for face in faces])
    rows = tiles.reshape(ROWS, COLUMNS, *tiles.shape[1:]).swapaxes(1, 2)
    return rows.reshape(ROWS * _STORED_SIZE, COLUMNS * _STORED_SIZE, 3)


def digest() -> str:
    """Returns the first 8 digits of the SHA-256 of the faces' pixels."""
    return hashlib.sha256(faces().tobytes()).hexdigest()[:8]
