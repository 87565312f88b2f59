"""Measures memory and speed of `vgg16`: loading, features, and a few epochs of fine-tuning.

    tools/run tools/benchmark_vgg16.py --manual_dir=FOLDER_OF_fer2013.csv

The weights are random, of full size. Each part runs in its own process, so that its peak memory is
not that of another part. Prints Markdown.
"""

import argparse
import multiprocessing
import pathlib
import resource
import tempfile
import time

import numpy as np

from ast_net import config, workdir
from ast_net.cnn import backbone, expression_head, runtime, vgg16
from ast_net.training import expression_examples, expressions, history

FACES = 64
BATCH = 8


def peak_gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def write_weights(path: pathlib.Path) -> None:
    """Writes random weights, in Keras's format."""
    vgg16.build_vgg16().save_weights(path)


def load_and_extract(path: pathlib.Path) -> None:
    """Loads the CNN and computes features, and prints memory and speed."""
    print(f"| imports | {peak_gigabytes():.2f} GB | |")
    cnn = runtime.load("vgg16", str(path), config.FLOAT32, path.parent)
    print(f"| weights loaded ({path.stat().st_size / 1e9:.2f} GB) | {peak_gigabytes():.2f} GB | |")
    faces = np.random.default_rng(0).integers(0, 256, (FACES, 224, 224, 3), np.uint8)
    start = time.perf_counter()
    for _ in runtime.extract(cnn, ((face, True) for face in faces), BATCH):
        pass
    speed = FACES / (time.perf_counter() - start)
    print(
        f"| fc6 of {FACES} faces, batches of {BATCH} | {peak_gigabytes():.2f} GB "
        f"| {speed:.1f} faces/s |"
    )


def finetune(path: pathlib.Path, arguments: argparse.Namespace) -> None:
    """Fine-tunes on a few real pictures, and prints memory and speed."""
    examples = expression_examples.load("fer2013", arguments.data_dir, arguments.manual_dir)
    images, labels = examples.splits[examples.dev]
    pictures = images[: arguments.pictures], labels[: arguments.pictures]
    targets = np.eye(len(examples.expressions), dtype=np.float32)[pictures[1]]
    cnn = backbone.load("vgg16", str(path), "mixed_bfloat16")
    folder = path.parent / "run"
    settings = config.Finetuning(
        data_dir=arguments.data_dir,
        workdir=str(folder),
        backbone="vgg16",
        epochs=arguments.epochs,
        batch_size=BATCH,
        learning_rate=1e-3,
        warmup_epochs=0,
        ema=0.0,
        mixed_precision="true",
    )
    head = expression_head.build(vgg16.FEATURES, examples.expressions)
    expressions.train(cnn, head, (pictures[0], targets), pictures, folder, settings)
    rows = history.read(folder / workdir.HISTORY)
    steps = len(pictures[1]) // BATCH
    # Includes the evaluation at the end of each epoch, here on the same pictures.
    speed = steps * BATCH / np.median([row["seconds"] for row in rows])
    losses = ", ".join(f"{row['loss']:.2f}" for row in rows)
    print(
        f"| fine-tuning, {len(rows)} epochs of {steps} steps of {BATCH} "
        f"| {peak_gigabytes():.2f} GB | {speed:.1f} pictures/s, loss {losses} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manual_dir", help="folder that holds fer2013.csv")
    parser.add_argument("--data_dir", default="data", help="folder of prepared data")
    parser.add_argument("--pictures", type=int, default=40, help="pictures to fine-tune on")
    parser.add_argument("--epochs", type=int, default=6, help="epochs of fine-tuning")
    arguments = parser.parse_args()
    print("| after | peak memory | |\n|---|---|---|", flush=True)
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "vgg16.weights.h5"
        for part in ((write_weights, path), (load_and_extract, path), (finetune, path, arguments)):
            process = processes.Process(target=part[0], args=part[1:])
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
