"""Predicts a video with the files of `export --format=onnx`, without the package that wrote them.

    tools/run -m ast_net.export --format=onnx --export_dir=models/onnx
    python tools/onnx_client.py models/onnx talk.mp4

It needs onnxruntime, OpenCV and NumPy, and writes a row for each frame that shows a face. With the
landmarks of `predict --landmarks` its numbers are those of `predict --precision=float32`, to 0.001:

    tools/run -m ast_net.predict talk.mp4 --landmarks --outputs=csv --output_dir=out
    python tools/onnx_client.py models/onnx talk.mp4 --landmarks out/talk/predictions.csv

It is meant to be read, and to be written again for your own program, runtime and face detector: all
that it knows about the model is in model.json. The core is `predict`.
"""

import argparse
import csv
import itertools
import json
import pathlib
import sys

import cv2
import numpy as np
import onnxruntime


def load(folder):
    """Returns the content of model.json, and a function that calls a network by its name."""
    model = json.loads((folder / "model.json").read_text())
    networks = {
        name: onnxruntime.InferenceSession(folder / function["file"])
        for name, function in model["functions"].items()
    }

    def run(name, **inputs):
        outputs = list(model["functions"][name]["outputs"])
        return dict(zip(outputs, networks[name].run(outputs, inputs)))

    return model, run


def align(image, eyes, faces):
    """Cuts out a face, turned and scaled so that the eyes come to the places in model.json."""
    # With points as complex numbers, turning and scaling together are one multiplication.
    left, right = complex(*eyes[:2]), complex(*eyes[2:])
    target = complex(*faces["left_eye"]), complex(*faces["right_eye"])
    while abs(right - left) >= 4 * abs(target[1] - target[0]):
        height, width = (side // 2 for side in image.shape[:2])
        halves = image[: 2 * height, : 2 * width]
        image = cv2.resize(halves, (width, height), interpolation=cv2.INTER_AREA)
        left, right = (left - 0.5 - 0.5j) / 2, (right - 0.5 - 0.5j) / 2
    turn = (target[1] - target[0]) / (right - left)
    shift = target[0] - turn * left
    # A face larger than the crop is sampled 2x2 times a pixel, and averaged.
    samples = 2 if abs(turn) < 0.99 else 1
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    matrix = samples * matrix + [[0, 0, (samples - 1) / 2]]
    crop = cv2.warpAffine(image, matrix, (samples * faces["size"],) * 2)
    return cv2.resize(crop, (faces["size"],) * 2, interpolation=cv2.INTER_AREA)


def states_before(history, time, time_step):
    """Returns the states that a frame continues: those after the frame one time step earlier.

    So at 25 frames/s and a time step of 0.4 s, ten sequences take turns: frame 10 continues frame
    0, frame 11 continues frame 1. At other rates the nearest frame counts, of two the later one.
    """
    earlier = [pair for pair in history if pair[0] < time - time_step / 2 + 1e-6] or history[:1]
    return min(reversed(earlier), key=lambda pair: round(abs(time - time_step - pair[0]), 5))[1]


def predict(model, run, frames):
    """Yields a row for each face that a frame shows.

    Args:
      model, run: what `load` returns.
      frames: for each frame its number, its time in seconds, its picture (uint8 RGB), and by the
        number of each face its eyes in pixels, [left x, left y, right x, right y].
    """
    step, states = model["time_step"], model["states"]
    zeros = {name: np.zeros((1, state["size"]), np.float32) for name, state in states.items()}
    # For each face, times and the states after them, from one frame before it appears.
    histories: dict[str, list] = {}
    time_before = -1 / model["frame_rate"]
    for frame, time, image, faces in frames:
        for face in faces:
            histories.setdefault(face, [(time_before, zeros)])
        for face, history in histories.items():
            after = states_before(history, time, step)
            if face in faces:  # Otherwise the states stay as they are.
                crop = align(image, faces[face], model["faces"])
                features = run("cnn", faces=crop[np.newaxis])
                answer = run("step", features=features["fc6"], **after)
                after = {name: answer[state["next"]] for name, state in states.items()}
                posteriors = features.get("posteriors", [[]])[0]
                yield {
                    **{"frame": frame, "timestamp_s": time, "face_id": face},
                    **{name: answer[name][0] for name in model["targets"]},
                    **{f"p_{name}": p for name, p in zip(model["expressions"], posteriors)},
                }
            history.append((time, after))
            while history[1][0] <= time - step:  # No later frame continues the one before it.
                history.pop(0)
        time_before = time


def smooth(rows, targets, time_step):
    """Adds the mean of each target over one time step, half of it before and half after the row."""
    for face in {row["face_id"] for row in rows}:
        seen = [row for row in rows if row["face_id"] == face]
        times = np.array([row["timestamp_s"] for row in seen])
        first = np.searchsorted(times, times - time_step / 2 + 1e-6)
        end = np.searchsorted(times, times + time_step / 2 + 1e-6)
        for row, a, b in zip(seen, first, end):
            row |= {f"{name}_smooth": np.mean([r[name] for r in seen[a:b]]) for name in targets}


def pictures(video):
    """Yields the time in seconds and the picture, uint8 RGB, of each frame."""
    capture = cv2.VideoCapture(str(video))
    if not capture.isOpened():
        sys.exit(f"error: {video}: no such video, or OpenCV cannot read it")
    success, picture = capture.read()
    while success:
        yield capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        success, picture = capture.read()


def tracked(video, table):
    """Yields the frames of a video with the faces in a table of `predict --landmarks`."""
    columns = ("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y")
    decoded, passed = pictures(video), 0
    with table.open(encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {*columns} <= {*(reader.fieldnames or ())}:
            sys.exit(f"error: {table}: has no eyes; predict again with --landmarks")
        for frame, group in itertools.groupby(reader, lambda row: row["frame"]):
            rows = list(group)
            seen = [row for row in rows if row["valid"] == "1"]
            faces = {row["face_id"]: [float(row[name]) for name in columns] for row in seen}
            number = int(frame)
            _, image = next(itertools.islice(decoded, number - passed, None), (None, None))
            if image is None:
                sys.exit(f"error: {video}: has no frame {frame}, which is in {table}")
            passed = number + 1
            yield number, float(rows[0]["timestamp_s"]), image, faces


def detected(model, run, video):
    """Yields the frames of a video with the clearest face, which MTCNN's O-Net finds.

    O-Net needs a square around the face, roughly. As long as there is a face, that is the last
    frame's; otherwise squares all over the picture are tried in every fifth frame.
    """
    size = model["functions"]["onet"]["inputs"]["squares"]["shape"][1]
    square = None
    for frame, (time, image) in enumerate(pictures(video)):
        if square is None and frame % 5 == 0:
            square, _, _ = locate(run, image, squares_of_all_sizes(*image.shape[:2]), size)
        if square is not None:
            # O-Net is surest when the face is in the middle of the square, so it looks twice.
            square, _, _ = locate(run, image, [square], size)
            square, eyes, confidence = locate(run, image, [square], size)
            square = square if confidence > 0.9 else None
        yield frame, time, image, {} if square is None else {"0": eyes}


def locate(run, image, squares, size):
    """Returns where the likeliest of some squares has a face: a square, the eyes, the confidence.

    Args:
      squares: x, y and side of each, in pixels.
      size: the side of O-Net's pictures.
    """
    faces = run("onet", squares=np.stack([cut(image, square, size) for square in squares]))
    best = np.argmax(faces["confidence"])
    x, y, side = squares[best]
    # O-Net's numbers are fractions of the square's side.
    corners = side * faces["box"][best].reshape(2, 2) + (x, y)
    eyes = side * faces["landmarks"][best, :2] + (x, y)
    new_side = (corners[1] - corners[0]).max()
    new_square = (*(corners.mean(axis=0) - new_side / 2), new_side)
    return new_square, [*eyes.ravel()], faces["confidence"][best]


def squares_of_all_sizes(height, width):
    """Returns x, y and side of squares all over a picture, a third of their side apart."""
    sides = min(height, width) / 1.5 ** np.arange(5)
    return [
        (x, y, side)
        for side in sides
        for y in np.arange(-side / 4, height - side / 2, side / 3)
        for x in np.arange(-side / 4, width - side / 2, side / 3)
    ]


def cut(image, square, size):
    """Cuts out a square, grey outside the picture, and resizes it."""
    x, y, side = square
    left, top, right, bottom = (round(edge) for edge in (x, y, x + side, y + side))
    inside = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    height, width = image.shape[:2]
    edges = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    whole = cv2.copyMakeBorder(inside, *edges, cv2.BORDER_CONSTANT, value=(127, 127, 127))
    return cv2.resize(whole, (size, size), interpolation=cv2.INTER_AREA)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=pathlib.Path, help="the exported folder")
    parser.add_argument("video", type=pathlib.Path)
    parser.add_argument("--landmarks", type=pathlib.Path, help="table of predict --landmarks")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("predictions.csv"))
    options = parser.parse_args(arguments)
    model, run = load(options.model)
    frames = detected(model, run, options.video)
    if options.landmarks:
        frames = tracked(options.video, options.landmarks)
    rows = list(predict(model, run, frames))
    smooth(rows, model["targets"], model["time_step"])
    columns = ["frame", "timestamp_s", "face_id", *model["targets"]]
    columns += [f"p_{name}" for name in model["expressions"]]
    columns += [f"{name}_smooth" for name in model["targets"]]
    with options.output.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} rows: see {options.output}")


if __name__ == "__main__":
    main()
