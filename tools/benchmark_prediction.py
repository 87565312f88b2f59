"""How fast predict is, from a file and from a camera, stage by stage; prints Markdown.

    tools/run tools/benchmark_prediction.py VIDEO [--size=1280x720] [--frames=1500] [--backbone=vgg16 ...]

The video is repeated until it has as many frames. In the same run: the machine's matrix ceiling, and the CNN as
plain Keras in float32. A core-ms is a millisecond of one core; all figures but the memory are medians.
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
    """Wall time and processor time of what runs inside, in seconds."""

    def __enter__(self) -> "Timer":
        self._wall, self._cores = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_) -> None:
        self.wall = time.perf_counter() - self._wall
        self.cores = time.process_time() - self._cores


class Replay:
    """A camera that shows pictures in turn, each when it is due."""

    def __init__(self, images: list[np.ndarray], rate: float, seconds: float) -> None:
        self._images = itertools.cycle([image[..., ::-1] for image in images])
        self._rate, self._frames = rate, round(rate * seconds)
        self._shown, self._start = 0, time.monotonic()

    def read(self) -> tuple[bool, np.ndarray]:
        due = self._start + self._shown / self._rate
        time.sleep(max(0.0, due - time.monotonic()))
        self._shown += 1
        return self._shown <= self._frames, np.ascontiguousarray(next(self._images))


def matrix_ceiling(dtype: str) -> float:
    """TFLOP/s of a large matrix product."""
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


def measured(name: str, batches: Iterable, do: Callable, per_batch: int = 1) -> str:
    """A row of the table of stages: each batch is timed by itself."""
    walls, cores = [], []
    for batch in batches:
        with Timer() as timer:
            do(batch)
        walls.append(timer.wall / per_batch)
        cores.append(timer.cores / per_batch)
    wall = statistics.median(walls)
    # Now and then a frame costs more (a detection): the mean counts for the cores.
    return f"| {name} | {1 / wall:.0f} | {1e3 * wall:.2f} | {1e3 * statistics.mean(cores):.2f} |"


def stages(
    path: pathlib.Path,
    images: list[np.ndarray],
    loaded: prediction_model.PredictionModel,
    batch: int,
):
    """Each stage alone, on 200 frames."""
    images = list(repeated(images, 200))
    frames = video.Video(path).frames()
    next(frames)
    yield measured("decoding", range(199), lambda _: next(frames, None))
    tracker = tracking.FaceTracker(loaded.detector, config.Tracking())
    seen = []
    yield measured(
        "tracking",
        enumerate(images),
        lambda item: seen.append(tracker.update(item[1], item[0] / 25)),
    )
    places = [(image, faces[0].face) for image, faces in zip(images, seen, strict=True) if faces]
    if not places:
        raise errors.InputError(
            f"{path}: no face was found in its first frames; give another video"
        )
    crops: list[np.ndarray] = []
    yield measured(
        "alignment",
        places,
        lambda place: crops.append(
            alignment.align_face(place[0], place[1].landmarks, config.Alignment())
        ),
    )
    faces = np.stack(crops)
    for size in sorted({1, batch}):
        batches = [np.stack(list(repeated(list(faces), size))) for _ in range(max(5, 64 // size))]
        loaded.extractor(batches[0])
        yield measured(f"CNN, batches of {size}", batches, loaded.extractor, size)
    spec = loaded.temporal.spec
    predictor = streaming.StreamingPredictor(loaded.temporal.network, spec.time_step)
    for size in sorted({1, batch}):
        predictor.reset()
        rows = np.ones((size, loaded.extractor.feature_size), np.float32)
        first, *others = np.arange(101 * size).reshape(101, size) / 25
        predictor.predict(rows, first)
        predict = functools.partial(predictor.predict, rows)
        yield measured(f"LSTM, {size} frames", others, predict, size)


def plain_keras(model: keras.Model, faces: np.ndarray) -> float:
    """Faces a second of a batch in the CNN as Keras computes it, in float32."""
    with Timer() as timer:
        model.predict(faces, batch_size=len(faces), verbose=0)
    return len(faces) / timer.wall


def faces_rate(extractor: runtime.Extractor, faces: np.ndarray) -> float:
    with Timer() as timer:
        extractor(faces)
    return len(faces) / timer.wall


def from_file(
    predictor: pipeline.Pipeline, path: pathlib.Path, repeats: int, plain: Callable[[], float]
) -> list[str]:
    """Machines change from minute to minute: each repetition has plain Keras and the ceiling beside it."""
    source = video.Video(path)
    rates, cores, ceilings, ratios = [], [], [], []
    before = plain()
    for _ in range(repeats):
        with Timer() as timer:
            frames = sum(1 for _ in predictor.predict(source.frames()))
        rates.append(frames / timer.wall)
        cores.append(1e3 * timer.cores / frames)
        ceilings.append(matrix_ceiling("bfloat16"))
        after = plain()
        ratios.append(rates[-1] / ((before + after) / 2))
        before = after
    return [
        f"| file, {frames} frames | {statistics.median(rates):.1f} frames/s ({_listed(rates, 1)}) | "
        f"{statistics.median(cores):.1f} core-ms a frame |",
        f"| the same by plain Keras's faces/s before and after | {statistics.median(ratios):.2f} "
        f"({_listed(ratios, 2)}) | ceiling {_listed(ceilings, 2)} TFLOP/s in bfloat16 |",
    ]


def _listed(values: Iterable[float], digits: int) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


def from_camera(
    predictor: pipeline.Pipeline, images: list[np.ndarray], rate: float, seconds: float
) -> str:
    """Latency from the moment a picture is there to its prediction."""
    start = time.monotonic()
    recording = camera.newest_frames(Replay(images, rate, seconds), threading.Event(), seconds + 60)
    latencies, dropped = [], 0
    for frame in predictor.predict(recording, live=True):
        dropped += frame.dropped
        if not frame.dropped:
            latencies.append(1e3 * (time.monotonic() - start - frame.timestamp))
    half = len(latencies) // 2
    at = np.percentile(latencies, [50, 95, 99])
    return (
        f"| camera, {rate:g} frames/s, {seconds:g} s | latency {at[0]:.1f}, {at[1]:.1f}, {at[2]:.1f} ms (50, 95, "
        f"99 %) | {dropped} of {dropped + len(latencies)} dropped; median of the two halves "
        f"{np.median(latencies[:half]):.1f}, {np.median(latencies[half:]):.1f} ms |"
    )


def resident() -> float:
    """Memory of this process now, MB."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def over_time(predictor: pipeline.Pipeline, images: list[np.ndarray], frames: int) -> str:
    """Whether memory or time grow over a long recording."""
    recording = (
        video_frame.Frame(index, index / 25, image)
        for index, image in enumerate(repeated(images, frames))
    )
    memory, times = [], [time.perf_counter()]
    for prediction in predictor.predict(recording):
        if prediction.index % 1000 == 999:
            memory.append(resident())
            times.append(time.perf_counter())
    steps = np.diff(times)
    third = max(1, len(steps) // 3)
    return (
        f"| {frames} frames | memory {memory[0]:.0f} MB after 1,000, at most {max(memory):.0f} MB after that, "
        f"{memory[-1]:.0f} MB at the end | {np.median(steps[:third]):.2f} ms a frame in the first third, "
        f"{np.median(steps[-third:]):.2f} in the last |"
    )


def build(
    arguments: argparse.Namespace,
) -> tuple[prediction_model.PredictionModel, str]:
    """The networks; a temporal model with random weights where none was trained on such features."""
    weights = arguments.backbone_weights
    if arguments.backbone == "vgg16" and weights is None:
        keras.utils.set_random_seed(0)
        model = vgg16.build_vgg16()
        for variable in model.trainable_variables:
            if len(variable.shape) > 1:
                # He's: the activations neither die nor explode.
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
    parser.add_argument("--size", help="scale the video to WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=1500)
    parser.add_argument("--backbone", default="compact", choices=sorted(backbone.FEATURE_SIZE))
    parser.add_argument("--backbone_weights", help="without, random ones for vgg16")
    parser.add_argument("--runtime", default="tensorflow")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--batch", type=int, default=config.Prediction().batch_faces)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--camera_seconds", type=float, default=30.0)
    parser.add_argument("--long", type=int, default=0, help="frames to watch memory and time over")
    parser.add_argument("--cache_dir", default="data")
    arguments = parser.parse_args()
    try:
        print(report(arguments))
    except errors.InputError as error:
        sys.exit(f"error: {error}")


def report(arguments: argparse.Namespace) -> str:
    frames = itertools.islice(video.open_video(arguments.video).frames(), 100)
    images = [frame.image for frame in frames]
    if arguments.size:
        width, height = map(int, arguments.size.split("x"))
        images = [cv2.resize(image, (width, height)) for image in images]
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "repeated.mp4"
        video_writer.write_video(path, repeated(images, arguments.frames), 25)
        loaded, weights = build(arguments)
        settings = config.Prediction(batch_faces=arguments.batch)
        predictor = pipeline.Pipeline(loaded, settings)
        for _ in predictor.predict(itertools.islice(video.Video(path).frames(), 50)):
            pass  # traces what there is to trace
        height, width = images[0].shape[:2]
        lines = [
            f"{arguments.backbone}, {arguments.runtime}, {loaded.extractor.precision}; {width}x{height}; matrix "
            f"ceiling {matrix_ceiling('float32'):.3f} TFLOP/s in float32, {matrix_ceiling('bfloat16'):.3f} in "
            "bfloat16",
            "",
            "| stage alone | a second | ms | core-ms |",
            "|---|---|---|---|",
            *stages(path, images, loaded, arguments.batch),
        ]
        keras_cnn = backbone.load(arguments.backbone, weights)
        faces = np.resize(calibration.faces(), (arguments.batch, 224, 224, 3))

        def plain() -> float:
            return plain_keras(keras_cnn, faces)

        plain()
        pairs = [(plain(), faces_rate(loaded.extractor, faces)) for _ in range(5)]
        rate = statistics.median(keras_rate for keras_rate, _ in pairs)
        ratio = statistics.median(ours / keras_rate for keras_rate, ours in pairs)
        lines += [
            "",
            f"Plain Keras in float32, batches of {arguments.batch}: {rate:.1f} faces/s; this runtime is {ratio:.2f} "
            "times as fast.",
            "",
            "| end to end | | |",
            "|---|---|---|",
            *from_file(predictor, path, arguments.repeats, plain),
            from_camera(predictor, images, 25.0, arguments.camera_seconds),
        ]
        if arguments.long:
            lines.append(over_time(predictor, images, arguments.long))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return "\n".join([*lines, "", f"Peak memory {peak:.0f} MB, with {len(images)} frames held."])


if __name__ == "__main__":
    main()
