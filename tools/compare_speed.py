"""Compares how fast two versions of the package predict, against decoding alone; prints Markdown.

It is `benchmark_prediction.py --compare`. A process of either version and runtime keeps its
networks, and all measure in turn, so that a change of the machine's speed meets all of them.
"Decoding" is FFmpeg's alone, on as many threads as it likes, without conversion to RGB, in frames/s
and core-ms (a millisecond of one core). "Of decoding" and "of Keras" are frames/s divided by those,
and by the faces/s of the CNN in plain Keras. "Camera" is the latency in ms, median and 95th
percentile. Figures are medians of the repeats; the memory is a process's peak up to then.
"""

import argparse
import contextlib
import itertools
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import av
import cv2
import numpy as np

from ast_net import config
from ast_net.cnn import backbone, calibration
from ast_net.cnn import runtime as runtimes
from ast_net.faces import detection, video, video_writer
from ast_net.prediction import camera, pipeline, prediction_model
from ast_net.temporal import temporal_model

RUNTIMES = {"float32": ("tensorflow", "float32"), "int8": ("openvino", "int8")}


def worker(runtime: str, cache_dir: str) -> None:
    """Answers each line of the input, [what, film, seconds], by a line of figures as JSON."""
    from benchmark_prediction import Replay, Timer

    settings = config.Runtime(*RUNTIMES[runtime])
    extractor = runtimes.load("compact", None, settings, pathlib.Path(cache_dir))
    networks = detection.FaceDetector(), extractor, None, temporal_model.load()
    predictor = pipeline.Pipeline(prediction_model.PredictionModel(*networks), config.Prediction())
    stock = backbone.load("compact", None)
    faces = np.resize(calibration.faces(), (32, 224, 224, 3))

    def film(path, _):
        with Timer() as timer:
            count = sum(1 for _ in predictor.predict(video.Video(path).frames()))
        return count, timer

    def decoding(path, _):
        with Timer() as timer, av.open(path) as container:
            container.streams.video[0].thread_type = "AUTO"
            count = sum(1 for _ in container.decode(video=0))
        return count, timer

    def keras(*_):
        with Timer() as timer:
            stock.predict(faces, batch_size=len(faces), verbose=0)
        return len(faces), timer

    def live(path, seconds):
        images = [frame.image for frame in itertools.islice(video.Video(path).frames(), 100)]
        start, latencies = time.monotonic(), []
        replay, ended = Replay(images, 25.0, seconds), threading.Event()
        for frame in predictor.predict(camera.newest_frames(replay, ended, 60), live=True):
            if not frame.dropped:
                latencies.append(1e3 * (time.monotonic() - start - frame.timestamp))
        return np.percentile(latencies, [50, 95]).tolist()

    kinds = {"film": film, "decoding": decoding, "keras": keras}
    for line in sys.stdin:
        what, path, seconds = json.loads(line)
        if what == "live":
            answer = live(path, seconds)
        else:
            count, timer = kinds[what](path, seconds)
            answer = [count / timer.wall, 1e3 * timer.cores / count]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print("answer " + json.dumps([*answer, memory]), flush=True)


class Worker:
    """A process that measures one version of the package with one runtime."""

    def __init__(self, tree: pathlib.Path, runtime: str, cache_dir: str) -> None:
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, __file__, runtime, cache_dir],
            env=os.environ | {"PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def measure(self, what: str, film: pathlib.Path, seconds: float = 0.0) -> list[float]:
        """Returns a second's frames (or a camera's latency: median, 95 %), core-ms, peak in MB."""
        questions, answers = self._process.stdin, self._process.stdout
        assert questions and answers
        print(json.dumps([what, str(film), seconds]), file=questions, flush=True)
        for line in answers:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        sys.exit(
            "error: a process that measures has ended; run compare_speed.py int8 data to see why"
        )

    def close(self) -> None:
        self._process.communicate()


def table(workers: dict[tuple[str, str], Worker], film: pathlib.Path, size: str, options) -> None:
    """Measures all workers in turn on one film, and prints their rows."""
    kinds = ("decoding", "film", "keras")
    figures: dict = {key: {kind: [] for kind in kinds} for key in workers}
    for _ in range(options.repeats + 1):
        for key, kind in itertools.product(workers, kinds):
            figures[key][kind].append(workers[key].measure(kind, film))
    ratios = {}
    for key, by_kind in figures.items():
        # The first round warms up.
        films, decoded, keras = (by_kind[kind][1:] for kind in ("film", "decoding", "keras"))
        rate, cores, memory = (statistics.median(column) for column in zip(*films))
        alone, alone_cores, _ = (statistics.median(column) for column in zip(*decoded))
        ratios[key] = statistics.median(f[0] / d[0] for f, d in zip(films, decoded))
        stock = statistics.median(f[0] / k[0] for f, k in zip(films, keras))
        latency = workers[key].measure("live", film, options.camera_seconds)
        print(
            f"| {size} | {key[1]} | {key[0]} | {rate:.0f} | {cores:.2f} | {alone:.0f} "
            f"({alone_cores:.2f}) | **{ratios[key]:.2f}** | {stock:.2f} | {latency[0]:.1f}, "
            f"{latency[1]:.1f} | {memory:.0f} |",
            flush=True,
        )


def compare(arguments: argparse.Namespace) -> None:
    """Prints the table, with the arguments of benchmark_prediction.py."""
    trees = {"before": arguments.compare, "now": pathlib.Path(__file__).parents[1]}
    cache_dir = str(pathlib.Path(arguments.cache_dir).resolve())
    frames = itertools.islice(video.open_video(arguments.video).frames(), 100)
    images = [frame.image for frame in frames]
    columns = ["size", "CNN", "version", "frames/s", "core-ms", "decoding", "of decoding"]
    columns += ["of Keras", "camera", "MB"]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        workers = {}
        for runtime, (name, tree) in itertools.product(
            arguments.runtimes.split(","), trees.items()
        ):
            workers[name, runtime] = Worker(tree.resolve(), runtime, cache_dir)
            stack.callback(workers[name, runtime].close)
        for size in arguments.size.split(","):
            shape = tuple(map(int, size.split("x")))
            film = pathlib.Path(folder) / f"{size}.mp4"
            scaled = [cv2.resize(image, shape) for image in images]
            repeated = itertools.islice(itertools.cycle(scaled), arguments.frames)
            video_writer.write_video(film, repeated, 25)
            table(workers, film, size, arguments)


if __name__ == "__main__":
    worker(*sys.argv[1:])
