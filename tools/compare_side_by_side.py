"""Checks that two faces in one video are predicted as each alone: two clips, side by side.

    tools/run tools/compare_side_by_side.py LEFT RIGHT [--mirror_right]

For each clip, prints how many frames have another identity than the first, and how far its valence
and arousal are from those of the clip alone. Both are scaled to the smaller height and cut to the
shorter length.
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
    predictor = pipeline.Pipeline(model, config.Prediction(max_faces=max_faces))
    recording = (video_frame.Frame(k, k / rate, image) for k, image in enumerate(images))
    return list(predictor.predict(recording))


def faces_of(frame: frames.FramePrediction) -> dict[int, tuple[float, np.ndarray]]:
    """For each face that a frame shows: x of its middle, and its valence and arousal."""
    return {
        face.face_id: (float(face.face.box[0] + face.face.box[2] / 2), face.values)
        for face in frame.faces
        if face.face is not None and face.values is not None
    }


def compare(left: list[np.ndarray], right: list[np.ndarray], rate: float) -> list[str]:
    model = prediction_model.load(config.Networks())
    together = [np.hstack(pair) for pair in zip(left, right, strict=True)]
    everybody = predict(model, together, rate, None)
    border, lines = left[0].shape[1], []
    for name, images, is_left in (("left", left, True), ("right", right, False)):
        alone = predict(model, images, rate, 1)
        differences: list[np.ndarray] = []
        ids: list[int] = []
        frames_alone = frames_together = 0
        for one, all_ in zip(alone, everybody, strict=True):
            mine = faces_of(one)
            here = {k: v for k, v in faces_of(all_).items() if (v[0] < border) == is_left}
            frames_alone += len(mine)
            frames_together += len(here)
            if len(mine) == len(here) == 1:
                [(_, expected)], [(face_id, (_, values))] = mine.values(), here.items()
                differences.append(np.abs(expected - values))
                ids.append(face_id)
        worst = np.max(differences, axis=0) if differences else np.full(2, np.nan)
        others = sum(face_id != ids[0] for face_id in ids)
        lines.append(
            f"| {name} | {len(images)} | {frames_alone}, {frames_together} | {others} | "
            f"{worst[0]:.4f}, {worst[1]:.4f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("left", type=pathlib.Path)
    parser.add_argument("right", type=pathlib.Path)
    parser.add_argument(
        "--mirror_right", action="store_true", help="so that it looks like another person"
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
    print("| clip | frames | with its face: alone, together | of another id | largest difference |")
    print("|---|---|---|---|---|")
    for line in compare(left[:count], right[:count], rate):
        print(line)


if __name__ == "__main__":
    main()
