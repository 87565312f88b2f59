"""Checks that two faces in one video are predicted as in two videos: puts two videos side by side.

    tools/run tools/compare_side_by_side.py LEFT RIGHT [--mirror_right]

Prints for each video how many frames have another face id than the first, and the largest
difference of valence and arousal from those of the video alone. Both videos are scaled to the
smaller height and cut to the shorter length.
"""

import argparse
import pathlib
import sys

import cv2
import numpy as np

from ast_net import config, errors
from ast_net.faces import video, video_frame
from ast_net.prediction import frames, pipeline, prediction_model


def at_height(images: list[np.ndarray], height: int) -> list[np.ndarray]:
    width = round(images[0].shape[1] * height / images[0].shape[0])
    return [cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) for image in images]


def predict(
    model: prediction_model.PredictionModel,
    images: list[np.ndarray],
    rate: float,
    max_faces: int | None,
) -> list[frames.FramePrediction]:
    stages = pipeline.Pipeline(model, config.Prediction(max_faces=max_faces))
    recording = (video_frame.Frame(k, k / rate, image) for k, image in enumerate(images))
    return list(stages.predict(recording))


def faces_of(frame: frames.FramePrediction) -> dict[int, tuple[float, np.ndarray]]:
    """Returns for each face that a frame shows the x of its centre, and its valence and arousal."""
    return {
        face.face_id: (float(face.face.box[0] + face.face.box[2] / 2), face.values)
        for face in frame.faces
        if face.face is not None and face.values is not None
    }


def compare(left: list[np.ndarray], right: list[np.ndarray], rate: float) -> list[str]:
    """Returns the table's row of each video."""
    model = prediction_model.load(config.Networks())
    side_by_side = [np.hstack(pair) for pair in zip(left, right, strict=True)]
    together = predict(model, side_by_side, rate, None)
    border, lines = left[0].shape[1], []
    for name, images, is_left in (("left", left, True), ("right", right, False)):
        alone = predict(model, images, rate, 1)
        differences: list[np.ndarray] = []
        ids: list[int] = []
        faces_alone = faces_together = 0
        for frame_alone, frame_together in zip(alone, together, strict=True):
            expected_faces = faces_of(frame_alone)
            # Those faces of both videos that lie on this video's side.
            faces = {
                k: v for k, v in faces_of(frame_together).items() if (v[0] < border) == is_left
            }
            faces_alone += len(expected_faces)
            faces_together += len(faces)
            if len(expected_faces) == len(faces) == 1:
                [(_, expected)], [(face_id, (_, values))] = expected_faces.values(), faces.items()
                differences.append(np.abs(expected - values))
                ids.append(face_id)
        largest = np.max(differences, axis=0) if differences else np.full(2, np.nan)
        changed_ids = sum(face_id != ids[0] for face_id in ids)
        lines.append(
            f"| {name} | {len(images)} | {faces_alone}, {faces_together} | {changed_ids} | "
            f"{largest[0]:.4f}, {largest[1]:.4f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("left", type=pathlib.Path)
    parser.add_argument("right", type=pathlib.Path)
    parser.add_argument(
        "--mirror_right",
        action="store_true",
        help="mirror the right video, so that the same person looks different",
    )
    arguments = parser.parse_args()
    try:
        sources = [video.open_video(path) for path in (arguments.left, arguments.right)]
        left, right = ([frame.image for frame in source.frames()] for source in sources)
        rate = sources[0].frame_rate
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    height = min(left[0].shape[0], right[0].shape[0])
    left, right = at_height(left, height), at_height(right, height)
    if arguments.mirror_right:
        right = [image[:, ::-1] for image in right]
    count = min(len(left), len(right))
    print("| video | frames | faces: alone, together | with another id | largest difference |")
    print("|---|---|---|---|---|")
    for line in compare(left[:count], right[:count], rate):
        print(line)


if __name__ == "__main__":
    main()
