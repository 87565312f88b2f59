"""Draws ast_net/cnn/calibration_faces.png, the faces on which int8 networks are calibrated.

    tools/run tools/make_calibration_faces.py [FILE]

The faces are drawn from the portrait of `ast_net.demo`, half of them mirrored, with varied facial
features, expression, pose, light, contrast and skin tone, and aligned as `config.Alignment` says.
Every call draws the same file.
"""

import argparse
import pathlib

import cv2
import numpy as np

from ast_net import config, files
from ast_net.cnn import calibration
from ast_net.demo import synthetic_face
from ast_net.faces import alignment

# Indices of the irises among the landmarks of the eyes.
IRISES = np.array([1, 8])
# Standard deviation of a detector's error in an eye's position, in pixels of the portrait.
EYE_NOISE = 1.0
# Range of the vertical stretch. Alignment by the eyes makes a head that is turned aside taller, as
# its eyes are closer together, and a head that looks up or down shorter.
HEIGHTS = (0.9, 1.15)


def to_portrait(
    rng: np.random.Generator, eyes: np.ndarray, settings: config.Alignment
) -> np.ndarray:
    """Draws a random pose.

    Args:
      rng: random generator.
      eyes: left and right eye in the portrait, [2, (x, y)].
      settings: where the eyes lie in the crop.

    Returns:
      The transform from the crop to the portrait, [2, 3].
    """
    to_crop = np.eye(3)
    noise = rng.normal(0, EYE_NOISE, (2, 2))
    left, right = eyes + noise
    to_crop[:2] = alignment.eye_transform(left, right, settings)
    height, eye_line = rng.uniform(*HEIGHTS), settings.left_eye[1]
    # Keeps the eyes' line in place.
    stretch = np.array([[1, 0, 0], [0, height, (1 - height) * eye_line], [0, 0, 1]])
    return np.linalg.inv(stretch @ to_crop)[:2]


def light(rng: np.random.Generator, face: np.ndarray) -> np.ndarray:
    """Changes skin tone (gamma), the light's colour and direction, contrast and brightness."""
    size = len(face)
    position = np.linspace(-1, 1, size)
    down, right = rng.uniform(-0.3, 0.3, 2)
    gains = (1 + down * position[:, np.newaxis] + right * position)[..., np.newaxis]
    picture = (face / 255) ** np.exp(rng.uniform(-0.3, 0.7)) * gains * rng.uniform(0.9, 1.1, 3)
    mean = picture.mean()
    picture = mean * rng.uniform(0.6, 1.3) + (picture - mean) * rng.uniform(0.5, 1.2)
    return np.clip(255 * picture, 0, 255).astype(np.uint8)


def draw(rng: np.random.Generator, settings: config.Alignment) -> np.ndarray:
    """Draws one face, uint8 RGB [224, 224, 3]."""
    face = synthetic_face.PortraitFace(rng)
    valence, arousal = rng.uniform(-1, 1, 2)
    parts = synthetic_face.landmarks().parts
    eyes = face.landmarks(valence, arousal)[parts == "eyes"][IRISES]
    drawn, opacity = face.draw(valence, arousal, to_portrait(rng, eyes, settings))
    wall = np.full_like(drawn, rng.integers(30, 220, 3))
    picture = cv2.add(
        cv2.multiply(drawn, opacity, scale=1 / 255),
        cv2.multiply(wall, 255 - opacity, scale=1 / 255),
    )
    picture = picture[: settings.size, : settings.size]
    # Mirrors half of the faces; the eyes are (nearly) symmetric in the crop.
    return light(rng, picture[:, :: rng.choice((-1, 1))])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=pathlib.Path, nargs="?", default=calibration.FILE)
    path = parser.parse_args().file
    rng = np.random.default_rng(2017)
    faces = [draw(rng, config.Alignment()) for _ in range(calibration.ROWS * calibration.COLUMNS)]
    mosaic = calibration.mosaic(np.stack(faces))
    with files.whole(path) as temporary:
        cv2.imwrite(
            str(temporary),
            cv2.cvtColor(mosaic, cv2.COLOR_RGB2BGR),
            [cv2.IMWRITE_PNG_COMPRESSION, 9],
        )
    print(f"{path}: {len(faces)} faces, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
