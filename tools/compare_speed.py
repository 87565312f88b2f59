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
import shlex
import statistics
import subprocess
import sys
import tempfile

import av
import benchmark_prediction as benchmark
import numpy as np

from ast_net import config
from ast_net.cnn import backbone, calibration, runtime
from ast_net.faces import video
from ast_net.prediction import pipeline

RUNTIMES = {
    "float32": config.Runtime("tensorflow", "float32"),
    "int8": config.Runtime("openvino", "int8"),
}
SIZES = "640x360,1280x720,1920x1080"


def worker(name: str, cache_dir: str) -> None:
    """Answers each line of the input, [what, film, seconds], by a line of figures as JSON."""
    settings = RUNTIMES[name]
    model, _ = benchmark.build(
        argparse.Namespace(
            backbone="compact",
            backbone_weights=None,
            runtime=settings.name,
            precision=settings.precision,
            cache_dir=cache_dir,
        )
    )
    stages = pipeline.Pipeline(model, config.Prediction())
    stock = backbone.load("compact", None)
    faces = np.resize(calibration.faces(), (32, 224, 224, 3))

    def rate(count, timer):
        return [count / timer.wall, 1e3 * timer.cores / count]

    def film(path, _):
        with benchmark.Timer() as timer:
            count = sum(1 for _ in stages.predict(video.Video(path).frames()))
        return rate(count, timer)

    def decoding(path, _):
        with benchmark.Timer() as timer, av.open(path) as container:
            container.streams.video[0].thread_type = "AUTO"
            count = sum(1 for _ in container.decode(video=0))
        return rate(count, timer)

    def keras(*_):
        return [benchmark.plain_keras(stock, faces)]

    def live(path, seconds):
        images = [frame.image for frame in itertools.islice(video.Video(path).frames(), 100)]
        latencies, _ = benchmark.camera_latencies(stages, images, 25.0, seconds)
        return np.percentile(latencies, [50, 95]).tolist()

    kinds = {"film": film, "decoding": decoding, "keras": keras, "live": live}
    for line in sys.stdin:
        what, path, seconds = json.loads(line)
        answer = kinds[what](path, seconds)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print("answer " + json.dumps([*answer, memory]), flush=True)


class Worker:
    """A process that measures one version of the package with one runtime."""

    def __init__(self, tree: pathlib.Path, runtime: str, cache_dir: str) -> None:
        self._command = [sys.executable, __file__, runtime, cache_dir]
        self._process: subprocess.Popen[str] = subprocess.Popen(
            self._command,
            env=os.environ | {"PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def measure(self, what: str, film: pathlib.Path, seconds: float = 0.0) -> list[float]:
        """Returns the figures of what was asked for, and the process's peak memory in MB last.

        Of a film and of decoding: frames/s and core-ms; of Keras: faces/s; live: the median and the
        95th percentile of the latency, in ms.
        """
        questions, answers = self._process.stdin, self._process.stdout
        assert questions and answers
        print(json.dumps([what, str(film), seconds]), file=questions, flush=True)
        for line in answers:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        sys.exit(f"error: a measuring process ended; to see why: {shlex.join(self._command)}")

    def close(self) -> None:
        self._process.communicate()


def table(workers: dict[tuple[str, str], Worker], film: pathlib.Path, size: str, options) -> None:
    """Measures all workers in turn on one film, and prints their rows."""
    kinds = ("decoding", "film", "keras")
    figures: dict = {key: {kind: [] for kind in kinds} for key in workers}
    for _ in range(options.repeats + 1):
        for key, kind in itertools.product(workers, kinds):
            figures[key][kind].append(workers[key].measure(kind, film))
    for key, by_kind in figures.items():
        # The first round warms up.
        films, decoded, keras = (by_kind[kind][1:] for kind in ("film", "decoding", "keras"))
        rate, cores, memory = (statistics.median(column) for column in zip(*films))
        alone, alone_cores, _ = (statistics.median(column) for column in zip(*decoded))
        ratio = statistics.median(f[0] / d[0] for f, d in zip(films, decoded))
        stock = statistics.median(f[0] / k[0] for f, k in zip(films, keras))
        latency = workers[key].measure("live", film, options.camera_seconds)
        print(
            f"| {size} | {key[1]} | {key[0]} | {rate:.0f} | {cores:.2f} | {alone:.0f} "
            f"({alone_cores:.2f}) | **{ratio:.2f}** | {stock:.2f} | {latency[0]:.1f}, "
            f"{latency[1]:.1f} | {memory:.0f} |",
            flush=True,
        )


def compare(arguments: argparse.Namespace) -> None:
    """Prints the table, with the arguments of benchmark_prediction.py.

    Raises:
      InputError: the video cannot be read, or OpenVINO is not installed.
    """
    names = ["float32"] if arguments.no_int8 else list(RUNTIMES)
    for name in names:
        runtime.check_installed(RUNTIMES[name])
    trees = {"before": arguments.compare, "now": pathlib.Path(__file__).parents[1]}
    cache_dir = str(pathlib.Path(arguments.cache_dir).resolve())
    frames = itertools.islice(video.open_video(arguments.video).frames(), 100)
    images = [frame.image for frame in frames]
    columns = ["size", "CNN", "version", "frames/s", "core-ms", "decoding", "of decoding"]
    columns += ["of Keras", "camera", "MB"]
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        workers = {}
        for name, (version, tree) in itertools.product(names, trees.items()):
            workers[version, name] = Worker(tree.resolve(), name, cache_dir)
            stack.callback(workers[version, name].close)
        for size in (arguments.size or SIZES).split(","):
            film = pathlib.Path(folder) / f"{size}.mp4"
            benchmark.write_film(film, images, size, arguments.frames)
            table(workers, film, size, arguments)


if __name__ == "__main__":
    worker(*sys.argv[1:])
