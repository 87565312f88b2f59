"""Measures the speed and accuracy of each runtime and precision of the CNN, on faces of videos.

    tools/run tools/benchmark_precision.py VIDEO ... [--backbone=vgg16 --backbone_weights=FILE]

Prints Markdown with medians. All variants take turns with plain Keras in float32, so that other
work on the machine slows all of them; features are compared with those of plain Keras. A
core-millisecond is a millisecond of one core. Without --backbone_weights, vgg16 gets random weights
(He's, so that activations neither die nor explode), which are saved in --cache_dir.
"""

import argparse
import pathlib
import statistics
import sys
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from ast_net import config, errors
from ast_net.cnn import backbone, runtime, vgg16
from ast_net.faces import alignment, face_track, video
from ast_net.temporal import streaming, temporal_model

BATCHES = (1, 8, 16, 32)
MATRIX = 2048


def random_vgg16(path: pathlib.Path) -> str:
    """Returns a file with He's random weights, the same in every call."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        model = vgg16.build_vgg16(draw_weights=False)
        rng = np.random.default_rng(0)
        for layer in (layer for layer in model.layers if layer.weights):
            kernels = layer.kernels if layer.name == "fc6" else [layer.kernel]
            fan_in = sum(int(np.prod(kernel.shape[:-1])) for kernel in kernels)
            for kernel in kernels:
                drawn = rng.standard_normal(kernel.shape, np.float32)
                kernel.assign(drawn * np.float32(np.sqrt(2 / fan_in)))
        model.save_weights(path)
    return str(path)


def faces_of(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tracks a video's T frames.

    Returns:
      Aligned faces uint8 [T, 224, 224, 3], which frames show a face [T], and times in seconds [T].
    """
    source = video.open_video(path)
    track = face_track.track_video(source, config.Tracking())
    faces = np.stack(
        [face.image for face in alignment.aligned_faces(source, track, config.Alignment())]
    )
    return faces, track.valid, track.timestamps


def costs(calls: list[Callable[[], object]], repeats: int) -> list[tuple[float, float]]:
    """Returns the median wall and processor time of each call, in seconds; the calls take turns."""
    times: list[list[tuple[float, float]]] = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(repeats):
        for call, call_times in zip(calls, times, strict=True):
            wall, cores = time.perf_counter(), time.process_time()
            call()
            call_times.append((time.perf_counter() - wall, time.process_time() - cores))
    return [
        (statistics.median(w for w, _ in call_times), statistics.median(c for _, c in call_times))
        for call_times in times
    ]


def matrix_ceiling(dtype: str) -> float:
    """Returns the speed of a large matrix product, in TFLOP/s."""
    factor = tf.cast(tf.random.normal((MATRIX, MATRIX)), dtype)
    product = tf.function(lambda: tf.linalg.matmul(factor, factor))
    [(wall, _)] = costs([lambda: product().numpy()], 10)
    return 2 * MATRIX**3 / wall / 1e12


def load_all(arguments: argparse.Namespace, weights: str | None) -> dict[str, runtime.Extractor]:
    """Loads the extractors of all runtimes and precisions that work on this machine, by name."""
    extractors = {}
    for name in config.RUNTIMES:
        for precision in config.PRECISIONS[1:]:
            if (name, precision) == ("tensorflow", "int8"):
                continue
            try:
                extractors[f"{name} | {precision}"] = runtime.load(
                    arguments.backbone,
                    weights,
                    config.Runtime(name, precision),
                    arguments.cache_dir,
                )
            except errors.InputError as error:
                print(f"{name}, {precision}: {error}\n", file=sys.stderr)
    return extractors


def cosine(features: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Returns the cosine between rows of [n, F] and [n, F], [n]."""
    norms = np.linalg.norm(features, axis=1) * np.linalg.norm(expected, axis=1)
    return (features * expected).sum(axis=1) / norms


def predictions(extract: Callable, videos: list, workdir: str | None) -> np.ndarray:
    """Predicts valence and arousal of all frames that show a face, [n, D]."""
    model = temporal_model.load(workdir)
    parts = []
    for faces, valid, times in videos:
        features = np.zeros((len(faces), model.spec.feature_size), np.float32)
        features[valid] = in_batches(extract, faces[valid])
        predictor = streaming.StreamingPredictor(model.network, model.spec.time_step)
        parts.append(predictor.predict(features, times)[valid])
    return np.concatenate(parts)


def in_batches(extract: Callable, faces: np.ndarray) -> np.ndarray:
    parts = [extract(faces[first : first + 16]) for first in range(0, len(faces), 16)]
    return np.concatenate(parts).astype(np.float64)


def speeds(extractors: dict, model: keras.Model, faces: np.ndarray, repeats: int) -> dict:
    """Measures faces/s, core-milliseconds per face, and the speed relative to plain Keras.

    Returns:
      For each extractor, by its name, a cell for each batch size of BATCHES.
    """
    table: dict[str, list[str]] = {name: [] for name in ("plain Keras | float32", *extractors)}
    for size in BATCHES:
        batch = np.resize(faces, (size, *faces.shape[1:]))
        calls: list[Callable] = [lambda batch=batch: model.predict_on_batch(batch)]
        calls += [lambda e=e, batch=batch: e(batch) for e in extractors.values()]
        times = costs(calls, repeats)
        keras_wall, keras_cores = times[0]
        for cells, (wall, cores) in zip(table.values(), times, strict=True):
            cell = f"{size / wall:.1f}, {1e3 * cores / size:.1f}, {keras_wall / wall:.2f}"
            cells.append(f"{cell} ({keras_cores / cores:.2f})")
    return table


def report(arguments: argparse.Namespace) -> None:
    weights = arguments.backbone_weights
    if arguments.backbone == "vgg16" and weights is None:
        weights = random_vgg16(arguments.cache_dir / "random_vgg16.weights.h5")
    videos = [faces_of(path) for path in arguments.videos]
    faces = np.concatenate([faces[valid] for faces, valid, _ in videos])
    faces = faces[:: -(-len(faces) // arguments.faces)]
    model = backbone.load(arguments.backbone, weights)
    extractors = load_all(arguments, weights)
    ceilings = [f"{matrix_ceiling(dtype):.2f} in {dtype}" for dtype in ("float32", "bfloat16")]
    print(f"{arguments.backbone}; matrix products: TFLOP/s {', '.join(ceilings)}\n")
    print(
        "By batch size: faces/s, core-milliseconds per face, speed relative to plain Keras (in "
        "parentheses, in core time):\n"
    )
    print("| runtime | precision | " + " | ".join(map(str, BATCHES)) + " |")
    print("|---" * (2 + len(BATCHES)) + "|")
    for name, cells in speeds(extractors, model, faces, arguments.repeats).items():
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    plain = model.predict_on_batch
    expected = in_batches(plain, faces)
    has_model = arguments.backbone == "compact" or arguments.workdir
    reference = predictions(plain, videos, arguments.workdir) if has_model else None
    print(f"\nCompared with plain Keras on {len(faces)} faces; centred: minus their mean.\n")
    print(
        "| runtime | precision | cosine of fc6: 5th percentile | minimum | "
        "centred: 5th percentile | valence, arousal: mean change | largest |"
    )
    print("|---" * 7 + "|")
    for name, extractor in extractors.items():
        features = in_batches(extractor, faces)
        cosines, mean = cosine(features, expected), expected.mean(axis=0)
        centred = np.percentile(cosine(features - mean, expected - mean), 5)
        row = f"{np.percentile(cosines, 5):.5f} | {cosines.min():.5f} | {centred:.4f} | "
        if has_model:
            change = np.abs(predictions(extractor, videos, arguments.workdir) - reference)
            row += " | ".join(
                ", ".join(f"{value:.4f}" for value in values)
                for values in (change.mean(axis=0), change.max(axis=0))
            )
        else:
            row += "- | -"
        print(f"| {name} | {row} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=pathlib.Path, nargs="+", metavar="VIDEO")
    parser.add_argument("--backbone", default="compact", choices=sorted(backbone.FEATURE_SIZE))
    parser.add_argument(
        "--backbone_weights", help="weights file; default: compact's own, random ones for vgg16"
    )
    parser.add_argument(
        "--workdir", help="folder of a run with this CNN, to compare its predictions, too"
    )
    parser.add_argument("--faces", type=int, default=64, help="maximum number of faces to compare")
    parser.add_argument("--repeats", type=int, default=9, help="number of times each call is timed")
    parser.add_argument(
        "--cache_dir",
        type=pathlib.Path,
        default=pathlib.Path("data"),
        help="folder for random weights and int8 networks",
    )
    try:
        report(parser.parse_args())
    except errors.InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
