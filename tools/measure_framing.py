"""Measures where the eyes are in FER2013's pictures, which are the middle of the aligned crop.

    tools/run tools/measure_framing.py --manual_dir=FOLDER_OF_fer2013.csv

Pictures are enlarged five times, with a border, as MTCNN finds no face that fills its picture.
"""

import argparse
import sys

import cv2
import numpy as np
import tqdm

from ast_net import config, errors
from ast_net.faces import detection
from ast_net.records import expression_pictures

ENLARGED = 240
BORDER = 60
MIN_CONFIDENCE = 0.9
# FER2013's 48x48 pixels are the middle 192 of the crop's 224.
MIDDLE, MARGIN = 192, 16


def eyes(detector: detection.FaceDetector, picture: np.ndarray) -> np.ndarray | None:
    """Left and right eye of a picture uint8 [48, 48, 1], as fractions of its side, [2, 2]."""
    large = cv2.resize(picture[..., 0], (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
    faces = detector.detect(np.repeat(large[..., np.newaxis], 3, axis=2), min_face_fraction=0.3)
    sure = [face for face in faces if face.confidence >= MIN_CONFIDENCE]
    if not sure:
        return None
    # The crop's coordinates are those of pixel centres.
    largest = max(sure, key=lambda face: face.box[2] * face.box[3])
    return (largest.landmarks[:2] - BORDER + 0.5) / ENLARGED


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manual_dir")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--pictures", type=int, default=2000)
    arguments = parser.parse_args()
    try:
        images, _ = expression_pictures.load("fer2013", arguments.data_dir, arguments.manual_dir)["train"]
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    detector = detection.FaceDetector()
    results = [eyes(detector, image) for image in tqdm.tqdm(images[: arguments.pictures])]
    places = np.stack([place for place in results if place is not None])
    medians, spread = np.median(places, axis=0), places.std(axis=0)
    print(f"a face of confidence {MIN_CONFIDENCE} in {len(places)} of {len(results)} pictures\n")
    print(
        "| eye | x, y as fractions of the picture | deviation | x, y in the crop | the template |"
    )
    print("|---|---|---|---|---|")
    alignment = config.Alignment()
    for name, row, deviation, target in zip(
        ("left", "right"), medians, spread, (alignment.left_eye, alignment.right_eye), strict=True
    ):
        x, y = MARGIN + MIDDLE * row - 0.5
        print(
            f"| {name} | {row[0]:.3f}, {row[1]:.3f} | {deviation[0]:.3f}, {deviation[1]:.3f} "
            f"| {x:.1f}, {y:.1f} | {target[0]:g}, {target[1]:g} |"
        )


if __name__ == "__main__":
    main()
