"""Measures how fast predict is, from a file and from a camera, and stage by stage; prints Markdown.

    tools/run tools/benchmark_prediction.py VIDEO [--size=1280x720] [--frames=1500] \\
        [--backbone=vgg16 ...]
    git worktree add ../before COMMIT
    tools/run tools/benchmark_prediction.py VIDEO --compare=../before --repeats=5 --frames=600

The video is repeated until it has that many frames. For comparison the same call measures the speed
of the machine's matrix products (the ceiling), and the CNN as plain Keras in float32. A core-ms is
a millisecond of one core. All figures are medians, except the memory.

The second form compares another version of the package with this one, in three sizes.
"""

import argparse
import functools
import itertools
import pathlib
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import cv2
import keras
import numpy as np
import tensorflow as tf

from ast_net import config, errors
from ast_net.cnn import backbone, calibration, runtime, vgg16
from ast_net.faces import (
    alignment,
    detection,
    tracking,
    video,
    video_frame,
    video_writer,
)
from ast_net.prediction import camera, pipeline, prediction_model
from ast_net.temporal import stacked_lstm, streaming, temporal_model

MATRIX = 2048


class Timer:
    """Measures the wall time and processor time of a `with` block, in seconds."""

    def __enter__(self) -> "Timer":
        self._wall, self._cores = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_) -> None:
        self.wall = time.perf_counter() - self._wall
        self.cores = time.process_time() - self._cores


class Replay:
    """A camera that shows the given images in turn, at a fixed frame rate."""

    def __init__(self, images: list[np.ndarray], rate: float) -> None:
        self._images = itertools.cycle([image[..., ::-1] for image in images])
        self._rate, self._shown, self._start = rate, 0, time.monotonic()

    def read(self) -> tuple[bool, np.ndarray]:
        due = self._start + self._shown / self._rate
        time.sleep(max(0.0, due - time.monotonic()))
        self._shown += 1
        return True, np.ascontiguousarray(next(self._images))

    def release(self) -> None:
        pass


def matrix_ceiling(dtype: str) -> float:
    """Returns the speed of a large matrix product, in TFLOP/s."""
    a = tf.cast(tf.random.normal((MATRIX, MATRIX)), dtype)
    product = tf.function(lambda: tf.linalg.matmul(a, a))
    product()
    walls = []
    for _ in range(10):
        with Timer() as timer:
            product().numpy()
        walls.append(timer.wall)
    return 2 * MATRIX**3 / statistics.median(walls) / 1e12


def repeated(images: list[np.ndarray], frames: int) -> Iterator[np.ndarray]:
    return itertools.islice(itertools.cycle(images), frames)


def write_film(path: pathlib.Path, images: list[np.ndarray], size: str | None, frames: int) -> None:
    """Writes a film of so many frames, which repeats the images, scaled to WIDTHxHEIGHT."""
    if size:
        images = [cv2.resize(image, tuple(map(int, size.split("x")))) for image in images]
    video_writer.write_video(path, repeated(images, frames), 25)


def stage_row(name: str, batches: Iterable, process: Callable, batch_size: int = 1) -> str:
    """Times `process` on each batch; returns a row of the table of stages."""
    walls, cores = [], []
    for batch in batches:
        with Timer() as timer:
            process(batch)
        walls.append(timer.wall / batch_size)
        cores.append(timer.cores / batch_size)
    wall = statistics.median(walls)
    # The mean for the cores, so that the occasional detection counts.
    return f"| {name} | {1 / wall:.0f} | {1e3 * wall:.2f} | {1e3 * statistics.mean(cores):.2f} |"


def stage_rows(
    path: pathlib.Path,
    images: list[np.ndarray],
    model: prediction_model.PredictionModel,
    batch: int,
):
    """Yields a row for each stage alone, on 200 frames."""
    images = list(repeated(images, 200))
    frames = video.Video(path).frames()
    next(frames)
    yield stage_row("decoding", range(199), lambda _: next(frames, None))
    tracker = tracking.FaceTracker(model.detector, config.Tracking())
    tracked = []
    yield stage_row(
        "tracking",
        enumerate(images),
        lambda item: tracked.append(tracker.update(item[1], item[0] / 25)),
    )
    pairs = [(image, faces[0].face) for image, faces in zip(images, tracked, strict=True) if faces]
    if not pairs:
        raise errors.InputError(f"{path}: found no face in its first frames; give another video")
    crops: list[np.ndarray] = []
    yield stage_row(
        "alignment",
        pairs,
        lambda pair: crops.append(
            alignment.align_face(pair[0], pair[1].landmarks, config.Alignment())
        ),
    )
    faces = np.stack(crops)
    for size in sorted({1, batch}):
        batches = [np.stack(list(repeated(list(faces), size))) for _ in range(max(5, 64 // size))]
        model.extractor(batches[0])
        yield stage_row(f"CNN, batches of {size}", batches, model.extractor, size)
    spec = model.temporal.spec
    predictor = streaming.StreamingPredictor(model.temporal.network, spec.time_step)
    for size in sorted({1, batch}):
        predictor.reset()
        rows = np.ones((size, model.extractor.feature_size), np.float32)
        # The first call traces the function, so it is not timed.
        first_times, *times = np.arange(101 * size).reshape(101, size) / 25
        predictor.predict(rows, first_times)
        predict = functools.partial(predictor.predict, rows)
        yield stage_row(f"LSTM, {size} frames", times, predict, size)


def plain_keras(model: keras.Model, faces: np.ndarray) -> float:
    """Returns the speed of the CNN in plain Keras, on one batch in float32, in faces/s."""
    with Timer() as timer:
        model.predict(faces, batch_size=len(faces), verbose=0)
    return len(faces) / timer.wall


def faces_rate(extractor: runtime.Extractor, faces: np.ndarray) -> float:
    with Timer() as timer:
        extractor(faces)
    return len(faces) / timer.wall


def from_file(
    stages: pipeline.Pipeline, path: pathlib.Path, repeats: int, plain: Callable[[], float]
) -> list[str]:
    """Measures predict on a file; each repetition has plain Keras and the ceiling beside it.

    A shared machine's speed changes from minute to minute, so that only ratios can be compared.
    """
    source = video.Video(path)
    rates, cores, ceilings, ratios = [], [], [], []
    before = plain()
    for _ in range(repeats):
        with Timer() as timer:
            frames = sum(1 for _ in stages.predict(source.frames()))
        rates.append(frames / timer.wall)
        cores.append(1e3 * timer.cores / frames)
        ceilings.append(matrix_ceiling("bfloat16"))
        after = plain()
        ratios.append(rates[-1] / ((before + after) / 2))
        before = after
    return [
        f"| file, {frames} frames | {statistics.median(rates):.1f} frames/s ({_listed(rates, 1)}) "
        f"| {statistics.median(cores):.1f} core-ms a frame |",
        "| the same, divided by plain Keras's faces/s before and after | "
        f"{statistics.median(ratios):.2f} ({_listed(ratios, 2)}) | ceiling {_listed(ceilings, 2)} "
        "TFLOP/s in bfloat16 |",
    ]


def _listed(values: Iterable[float], digits: int) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


def camera_latencies(
    stages: pipeline.Pipeline, images: list[np.ndarray], rate: float, seconds: float
) -> tuple[list[float], int]:
    """Measures the time from the moment a camera gives a picture to its prediction.

    Returns:
      The time of each frame that was predicted, in ms, and the number of frames that were not.
    """
    start = time.monotonic()
    recording = camera.newest_frames(Replay(images, rate), threading.Event(), seconds)
    latencies, dropped = [], 0
    for frame in stages.predict(recording, live=True):
        dropped += frame.dropped
        if not frame.dropped:
            latencies.append(1e3 * (time.monotonic() - start - frame.timestamp))
    return latencies, dropped


def from_camera(
    stages: pipeline.Pipeline, images: list[np.ndarray], rate: float, seconds: float
) -> str:
    latencies, dropped = camera_latencies(stages, images, rate, seconds)
    half = len(latencies) // 2
    median, high, highest = np.percentile(latencies, [50, 95, 99])
    return (
        f"| camera, {rate:g} frames/s, {seconds:g} s | latency {median:.1f}, {high:.1f}, "
        f"{highest:.1f} ms (50, 95, 99 %) | {dropped} of {dropped + len(latencies)} dropped; "
        f"medians of the two halves {np.median(latencies[:half]):.1f}, "
        f"{np.median(latencies[half:]):.1f} ms |"
    )


def resident() -> float:
    """Returns the memory that this process holds now, in MB."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def over_time(stages: pipeline.Pipeline, images: list[np.ndarray], frames: int) -> str:
    """Measures whether memory or time per frame grow over a long recording."""
    recording = (
        video_frame.Frame(index, index / 25, image)
        for index, image in enumerate(repeated(images, frames))
    )
    memory, times = [], [time.perf_counter()]
    for prediction in stages.predict(recording):
        if prediction.index % 1000 == 999:
            memory.append(resident())
            times.append(time.perf_counter())
    steps = np.diff(times)
    third = max(1, len(steps) // 3)
    return (
        f"| {frames} frames | memory {memory[0]:.0f} MB after 1,000, at most {max(memory):.0f} MB "
        f"after that, {memory[-1]:.0f} MB at the end | {np.median(steps[:third]):.2f} ms a frame "
        f"in the first third, {np.median(steps[-third:]):.2f} in the last |"
    )


def build(
    arguments: argparse.Namespace,
) -> tuple[prediction_model.PredictionModel, str]:
    """Loads the networks; the temporal model is random unless the CNN is `compact` as shipped.

    Returns:
      The networks, and the CNN's weights file.
    """
    weights = arguments.backbone_weights
    if arguments.backbone == "vgg16" and weights is None:
        keras.utils.set_random_seed(0)
        model = vgg16.build_vgg16()
        for variable in model.trainable_variables:
            if len(variable.shape) > 1:
                # He's initialisation, so that activations neither die nor explode.
                fan_in = np.prod(variable.shape[:-1]) * (7 if "kernel_" in variable.name else 1)
                variable.assign(tf.random.normal(variable.shape, stddev=(2 / float(fan_in)) ** 0.5))
        weights = str(pathlib.Path(arguments.cache_dir) / "random_vgg16.weights.h5")
        if not pathlib.Path(weights).exists():
            pathlib.Path(weights).parent.mkdir(parents=True, exist_ok=True)
            model.save_weights(weights)
        del model
    extractor = runtime.load(
        arguments.backbone,
        weights,
        config.Runtime(arguments.runtime, arguments.precision),
        pathlib.Path(arguments.cache_dir),
    )
    if arguments.backbone == "compact" and weights is None:
        temporal = temporal_model.load()
    else:
        network = stacked_lstm.build_stacked_lstm(extractor.feature_size)
        digest = backbone.weights_id(arguments.backbone, weights)
        units, cnn = config.StackedLSTM().units, (arguments.backbone, digest, weights)
        spec = temporal_model.ModelSpec(
            config.TARGETS, extractor.feature_size, units, *cnn, 50, 0.4, 25.0, (0.0, 0.0)
        )
        temporal = temporal_model.TemporalModel(network, spec)
    return prediction_model.PredictionModel(
        detection.FaceDetector(), extractor, None, temporal
    ), weights


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=pathlib.Path)
    parser.add_argument("--compare", type=pathlib.Path, help="a checkout of another version")
    parser.add_argument(
        "--no_int8", action="store_true", help="compare without int8, which needs OpenVINO"
    )
    parser.add_argument(
        "--size", help="scale the video to WIDTHxHEIGHT; with --compare, several, after commas"
    )
    parser.add_argument("--frames", type=int, default=1500, help="length of the repeated video")
    parser.add_argument("--backbone", default="compact", choices=sorted(backbone.FEATURE_SIZE))
    parser.add_argument(
        "--backbone_weights", help="weights file; default: compact's own, random ones for vgg16"
    )
    parser.add_argument("--runtime", default="tensorflow", choices=config.RUNTIMES)
    parser.add_argument("--precision", default="auto", choices=config.PRECISIONS)
    parser.add_argument(
        "--batch", type=int, default=config.Prediction().batch_faces, help="faces in a batch"
    )
    parser.add_argument("--repeats", type=int, default=3, help="number of passes over the file")
    parser.add_argument(
        "--camera_seconds", type=float, default=30.0, help="length of the camera test"
    )
    parser.add_argument(
        "--long",
        type=int,
        default=0,
        help="frames of the test for growing memory and time; 0: none",
    )
    parser.add_argument(
        "--cache_dir", default="data", help="folder for random weights and int8 networks"
    )
    arguments = parser.parse_args()
    try:
        if arguments.compare:
            import compare_speed  # It imports this module.

            compare_speed.compare(arguments)
            return
        print(report(arguments))
    except errors.InputError as error:
        sys.exit(f"error: {error}")


def report(arguments: argparse.Namespace) -> str:
    frames = itertools.islice(video.open_video(arguments.video).frames(), 100)
    images = [frame.image for frame in frames]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "repeated.mp4"
        write_film(path, images, arguments.size, arguments.frames)
        images = [frame.image for frame in itertools.islice(video.Video(path).frames(), 100)]
        model, weights = build(arguments)
        settings = config.Prediction(batch_faces=arguments.batch)
        stages = pipeline.Pipeline(model, settings)
        for _ in stages.predict(itertools.islice(video.Video(path).frames(), 50)):
            pass  # traces the TensorFlow functions before anything is timed
        height, width = images[0].shape[:2]
        lines = [
            f"{arguments.backbone}, {arguments.runtime}, {model.extractor.precision}; "
            f"{width}x{height}; matrix ceiling {matrix_ceiling('float32'):.3f} TFLOP/s in float32, "
            f"{matrix_ceiling('bfloat16'):.3f} in bfloat16",
            "",
            "| stage alone | a second | ms | core-ms |",
            "|---|---|---|---|",
            *stage_rows(path, images, model, arguments.batch),
        ]
        keras_cnn = backbone.load(arguments.backbone, weights)
        faces = np.resize(calibration.faces(), (arguments.batch, 224, 224, 3))

        def plain() -> float:
            return plain_keras(keras_cnn, faces)

        plain()
        pairs = [(plain(), faces_rate(model.extractor, faces)) for _ in range(5)]
        rate = statistics.median(keras_rate for keras_rate, _ in pairs)
        ratio = statistics.median(our_rate / keras_rate for keras_rate, our_rate in pairs)
        lines += [
            "",
            f"Plain Keras in float32, batches of {arguments.batch}: {rate:.1f} faces/s; "
            f"this runtime is {ratio:.2f} times as fast.",
            "",
            "| end to end | | |",
            "|---|---|---|",
            *from_file(stages, path, arguments.repeats, plain),
            from_camera(stages, images, 25.0, arguments.camera_seconds),
        ]
        if arguments.long:
            lines.append(over_time(stages, images, arguments.long))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return "\n".join(
        [*lines, "", f"Peak memory {peak:.0f} MB, including the {len(images)} input frames."]
    )


if __name__ == "__main__":
    main()
