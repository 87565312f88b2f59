"""Measures memory and time of preparing a long recording, beside a short one.

    tools/run tools/benchmark_preparation.py --minutes 1 60

Generates recordings of 160x120 pixels at 25 frames/s in RECOLA's layout, prepares each in its own
process, and prints a Markdown table. To save time only the first seconds show a face, and after
that the tracker searches once a minute: an hour takes a few minutes. A frame without a face takes
as much disk and memory as one with a face. `process` is the peak memory of the process, including
TensorFlow; `features` is the memory that the features would have added if all were held at once.
"""

import argparse
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from unittest import mock

import cv2
import numpy as np

from ast_net import config
from ast_net.cnn import backbone
from ast_net.datasets import recola_layouts
from ast_net.demo import synthetic_face
from ast_net.faces import video_writer
from ast_net.records import store

FRAME_RATE = 25
FACE_SECONDS = 20
# Searches only once a minute while there is no face.
TRACKING = config.Tracking(search_every=60.0)
LAYOUT = recola_layouts.RELEASE


def write_recording(folder: pathlib.Path, name: str, seconds: int) -> None:
    """Writes a video of the moving portrait, then of nothing, and ratings of six made-up raters."""
    path = pathlib.Path(synthetic_face.__file__).with_name("portrait.jpg")
    portrait = np.asarray(cv2.imread(str(path)), np.uint8)
    face = cv2.cvtColor(cv2.resize(portrait, (120, 120)), cv2.COLOR_BGR2RGB)
    blank = np.full((120, 160, 3), 90, np.uint8)

    def images():
        for frame in range(seconds * FRAME_RATE):
            if frame < FACE_SECONDS * FRAME_RATE:
                image = blank.copy()
                left = 18 + frame % 5
                image[:, left : left + 120] = face
                yield image
            else:
                yield blank

    video_writer.write_video(LAYOUT.video(folder, name), images(), FRAME_RATE)
    for target in config.TARGETS:
        path = LAYOUT.rating_file(folder, target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            file.write("time;FM1;FM2;FM3;FF1;FF2;FF3\n")
            for row in range(seconds * FRAME_RATE + 1):
                cells = [f"{0.5 * np.sin(row / 200 + rater / 5):.4f}" for rater in range(6)]
                file.write(f"{row / FRAME_RATE:.2f};{';'.join(cells)}\n")


def prepare(folder: str, data_dir: str, cnn: str, weights: str | None) -> None:
    """Prepares the folder's recordings; prints the time in seconds and the peak memory in MB."""
    settings = config.Preparation(
        dataset="recola",
        data_dir=data_dir,
        manual_dir=folder,
        backbone=cnn,
        backbone_weights=weights,
        train_recordings=("P1",),
        dev_recordings=("P2",),
    )
    start = time.perf_counter()
    with mock.patch.object(config, "Tracking", lambda: TRACKING):
        store.prepare(settings)
    seconds = time.perf_counter() - start
    print(f"{seconds:.0f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


def measure(minutes: int, arguments: argparse.Namespace) -> None:
    """Measures a recording of this length and prints its row of the table."""
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        source, data_dir = pathlib.Path(folder, "source"), pathlib.Path(folder, "data")
        write_recording(source, "P1", minutes * 60)
        write_recording(source, "P2", 1)
        command = [sys.executable, __file__, "--prepare", str(source), str(data_dir)]
        command += ["--backbone", arguments.backbone]
        if arguments.backbone_weights:
            command += ["--backbone_weights", arguments.backbone_weights]
        completed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        seconds, peak = completed.stdout.split()[-2:]
        size = sum(path.stat().st_size for path in data_dir.rglob("*-train.tfrecord*"))
        frames = minutes * 60 * FRAME_RATE
        features = frames * 2 * backbone.FEATURE_SIZE[arguments.backbone]
        cells = [f"{minutes} min", f"{frames:,}", f"{seconds} s", f"{peak} MB"]
        cells += [f"{features / 1e6:.1f} MB", f"{size / 1e6:.1f} MB"]
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--minutes", type=int, nargs="+", default=[1, 60], help="lengths of the recordings"
    )
    parser.add_argument("--backbone", default="compact", choices=sorted(backbone.FEATURE_SIZE))
    parser.add_argument(
        "--backbone_weights", help="weights file of the CNN; default: compact's own"
    )
    parser.add_argument(
        "--folder", help="folder for the temporary recordings; default: the system's"
    )
    parser.add_argument("--prepare", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.prepare:
        folder, data_dir = arguments.prepare
        prepare(folder, data_dir, arguments.backbone, arguments.backbone_weights)
        return
    print("| recording | frames | time | process | features | records |\n" + "|---" * 6 + "|")
    for minutes in arguments.minutes:
        measure(minutes, arguments)


if __name__ == "__main__":
    main()
