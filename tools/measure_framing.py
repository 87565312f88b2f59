"""Measures where the eyes are in FER2013's pictures, to align faces in videos in the same way.

    tools/run tools/measure_framing.py --manual_dir=FOLDER_OF_fer2013.csv

A picture of FER2013 corresponds to the middle of the aligned crop. Pictures are enlarged five times
and get a border, as MTCNN does not find a face that fills the whole picture.
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
# FER2013's 48x48 pixels are the middle 192x192 of the crop's 224x224.
MIDDLE, MARGIN = 192, 16


def eyes(detector: detection.FaceDetector, picture: np.ndarray) -> np.ndarray | None:
    """Finds the left and right eye in a picture uint8 [48, 48, 1].

    Returns:
      Their x and y as fractions of the picture's side, [2, 2]; None if no face is found.
    """
    large = cv2.resize(picture[..., 0], (ENLARGED, ENLARGED), interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, cv2.BORDER_REPLICATE)
    faces = detector.detect(np.repeat(large[..., np.newaxis], 3, axis=2), min_face_fraction=0.3)
    confident = [face for face in faces if face.confidence >= MIN_CONFIDENCE]
    if not confident:
        return None
    largest = max(confident, key=lambda face: face.box[2] * face.box[3])
    # 0.5 converts coordinates of pixel centres to distances from the edge.
    return (largest.landmarks[:2] - BORDER + 0.5) / ENLARGED


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manual_dir", help="folder that holds fer2013.csv")
    parser.add_argument("--data_dir", default="data", help="folder of prepared data")
    parser.add_argument("--pictures", type=int, default=2000, help="number of pictures to measure")
    arguments = parser.parse_args()
    try:
        splits = expression_pictures.load("fer2013", arguments.data_dir, arguments.manual_dir)
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    images, _ = splits["train"]
    detector = detection.FaceDetector()
    results = [eyes(detector, image) for image in tqdm.tqdm(images[: arguments.pictures])]
    positions = np.stack([position for position in results if position is not None])
    medians, spread = np.median(positions, axis=0), positions.std(axis=0)
    print(
        f"a face with confidence of at least {MIN_CONFIDENCE} in {len(positions)} of "
        f"{len(results)} pictures\n"
    )
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
