"""Times training steps and fc6 on this machine: float32 and bfloat16, with and without XLA.

    tools/run tools/benchmark_training.py [--backbones compact vgg16] [--repeats=15]

Uses the GPU if TensorFlow has one. The step of the temporal model is on a batch of twin clips, with
the features of each CNN; beside it stands the same training with Keras's own LSTM. The step of the
CNN is on pictures as finetune trains on them. Weights and inputs are random. The networks of a task
take turns, so that other work on the machine slows all of them. Prints Markdown: medians of wall
and processor time, and the most memory that a call held on the GPU.

    tools/run tools/benchmark_training.py --stablehlo=FOLDER

writes the same steps as XLA gets them, for tools/benchmark_stablehlo.py, which runs them on a
machine that has JAX and a GPU, but no TensorFlow with CUDA.
"""

import argparse
import dataclasses
import json
import pathlib
import re
import resource
import statistics
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from benchmark_stablehlo import drawn

from ast_net import config, devices
from ast_net.cnn import backbone, compact, expression_head, vgg16
from ast_net.datasets import ferplus
from ast_net.temporal import siamese, stacked_lstm
from ast_net.training import expression_step, temporal_step

# Largest number of values that are written.
SMALL = 5000


@dataclasses.dataclass
class Case:
    """A graph to time.

    Attributes:
      task: what it does, the same for all that take turns.
      network: which network does it.
      precision: float32 or bfloat16.
      items: clips, pictures or faces in a batch.
      graph: a tf.function of the batch; returns a dict with loss or fc6.
      batch: its argument.
    """

    task: str
    network: str
    precision: str
    items: int
    graph: Any  # TensorFlow does not say its type.
    batch: object


def stock_lstm(feature_size: int) -> keras.Model:
    """Builds the same network from Keras's own layers."""
    features = keras.Input((None, feature_size), name="features")
    hidden = features
    for units in config.StackedLSTM().units:
        hidden = keras.layers.LSTM(units, return_sequences=True, use_cudnn=False)(hidden)
    return keras.Model(features, keras.layers.Dense(2)(hidden))


def temporal_case(feature_size: int, batch_size: int, precision: str, stock: bool = False) -> Case:
    """Returns a training step of the temporal model, with the whole loss."""
    keras.utils.set_random_seed(0)
    if stock:
        network = stock_lstm(feature_size)
    else:
        policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
        moments = np.zeros(feature_size), np.ones(feature_size)
        network = stacked_lstm.build_stacked_lstm(
            feature_size, policy=policy, moments=moments, feature_dtype="float16"
        )
    clip = config.Clip()
    model = siamese.build_training_model(siamese.build_siamese(network), clip, config.LossWeights())
    optimizer = keras.optimizers.Adam(config.Training().learning_rate)
    optimizer.build(model.trainable_variables)
    rng = np.random.default_rng(0)
    shapes = {name: (batch_size, *tensor.shape[1:]) for name, tensor in model.input.items()}
    batch = {
        name: tf.ones(shapes[name], tf.bool)
        if tensor.dtype == "bool"
        else tf.constant(rng.normal(size=shapes[name]), tensor.dtype)
        for name, tensor in model.input.items()
    }
    step = temporal_step.training_step(model, optimizer, jit_compile=False)
    task = f"a step on {batch_size} twin clips, {feature_size} features"
    return Case(task, "Keras's LSTM" if stock else "ours", precision, batch_size, step, batch)


def expression_case(name: str, pictures: int, precision: str) -> Case:
    """Returns a training step of the CNN on FER+'s expressions."""
    keras.utils.set_random_seed(0)
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    cnn = random_cnn(name, policy)
    head = expression_head.build(cnn.output.shape[-1], ferplus.EXPRESSIONS)
    inputs = keras.Input((48, 48, 1))
    network = keras.Model(inputs, head(backbone.on_pictures(cnn)(inputs)))
    settings = config.Finetuning(
        backbone=name, learning_rate=1e-3, warmup_epochs=0, jit_compile="false"
    )
    optimizer = expression_step.build_optimizer(network, settings, 1000)
    averages = [tf.Variable(weight.value) for weight in network.weights]
    classes = len(ferplus.EXPRESSIONS)
    step = expression_step.training_step(
        network, optimizer, averages, np.zeros(classes, np.float32), settings
    )
    rng = np.random.default_rng(0)
    batch = (
        tf.constant(rng.random((pictures, 48, 48, 1)), tf.float32),
        tf.constant(rng.dirichlet(np.ones(classes), pictures), tf.float32),
    )
    return Case(
        f"a step of {name} on {pictures} pictures", "ours", precision, pictures, step, batch
    )


def feature_case(name: str, faces: int, precision: str) -> Case:
    """Returns fc6 of aligned faces."""
    keras.utils.set_random_seed(0)
    if name == "compact" and precision == "bfloat16":  # As `tensorflow_runtime.network` does.
        cnn = compact.fold(random_cnn(name, "float32"), precision)
    else:
        cnn = random_cnn(name, precision)
    pictures = np.random.default_rng(0).integers(0, 256, (faces, 224, 224, 3), np.uint8)
    graph = tf.function(lambda batch: {"fc6": tf.cast(cnn(batch), tf.float32)})
    return Case(
        f"fc6 of {faces} faces, {name}", "ours", precision, faces, graph, tf.constant(pictures)
    )


def random_cnn(name: str, policy: str) -> keras.Model:
    """Builds a CNN with random weights."""
    if name == "compact":
        return compact.build_compact(0, policy)
    return vgg16.build_vgg16(policy)


def tasks(arguments: argparse.Namespace) -> Iterator[list[Case]]:
    """Yields the cases of one task after the other."""
    precisions = ("float32", "bfloat16")
    for name in arguments.backbones:
        size, clips = backbone.FEATURE_SIZE[name], arguments.batch_size
        stock = temporal_case(size, clips, "float32", stock=True)
        yield [stock, *(temporal_case(size, clips, precision) for precision in precisions)]
        yield [expression_case(name, arguments.pictures, precision) for precision in precisions]
        yield [feature_case(name, arguments.pictures, precision) for precision in precisions]


def compiled(case: Case) -> Any:
    """Returns the case's graph, compiled with XLA."""
    return tf.function(case.graph.python_function, jit_compile=True)


def main_result(results: dict[str, tf.Tensor]) -> tf.Tensor:
    """Returns the loss or the features."""
    return results["loss" if "loss" in results else "fc6"]


def time_task(cases: list[Case], repeats: int) -> None:
    """Prints a row of the table for each case, as TensorFlow runs it and compiled with XLA."""
    rows = [(case, xla, compiled(case) if xla else case.graph) for case in cases for xla in (0, 1)]
    rows = [row for row in rows if not (row[1] and row[0].network != "ours")]
    times: list[list[tuple[float, float]]] = [[] for _ in rows]
    memory = [0] * len(rows)
    gpus = tf.config.list_physical_devices("GPU")
    for turn in range(repeats + 2):
        for index, (case, _, graph) in enumerate(rows):
            if gpus:
                tf.config.experimental.reset_memory_stats("GPU:0")
            start = time.perf_counter(), time.process_time()
            main_result(graph(case.batch)).numpy()
            passed = time.perf_counter() - start[0], time.process_time() - start[1]
            if turn >= 2:  # The first calls trace and compile.
                times[index].append(passed)
            if gpus:
                memory[index] = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    for (case, xla, _), row_times, peak in zip(rows, times, memory, strict=True):
        wall, processor = (1000 * statistics.median(t) for t in zip(*row_times))
        print(
            f"| {case.task} | {case.network} | {case.precision} | {'yes' if xla else 'no'} "
            f"| {wall:.1f} | {processor:.1f} | {1000 * case.items / wall:.0f} "
            f"| {f'{peak / 2**20:.0f} MiB' if gpus else ''} |",
            flush=True,
        )


def write_stablehlo(case: Case, folder: pathlib.Path, steps: int) -> None:
    """Writes a case as XLA gets it, and what it gives here: NAME.hlo and NAME.json.

    Large variables are drawn anew from a normal distribution, so that only a seed has to be
    written.
    """
    graph = compiled(case)
    concrete = graph.get_concrete_function(case.batch)
    variables = {id(variable.handle): variable for variable in concrete.variables}
    inputs: list[dict] = []
    values: list[np.ndarray] = []
    for tensor in (*tf.nest.flatten(case.batch), *concrete.captured_inputs):
        variable = variables.get(id(tensor))
        inputs.append(described((tensor if variable is None else variable).numpy(), len(inputs)))
        values.append(drawn(inputs[-1]))
        if variable is not None:
            variable.assign(values[-1])
    leaves = len(tf.nest.flatten(case.batch))
    batch = tf.nest.pack_sequence_as(case.batch, [tf.constant(v) for v in values[:leaves]])
    ir = graph.experimental_get_compiler_ir(case.batch)
    # Which results are the new values of which inputs.
    updates = re.findall(r"\{(\d+)\}: \((\d+), ", ir(stage="hlo").partition("\n")[0])
    name = re.sub(r"\W+", "_", f"{case.task} {case.network} {case.precision}")
    (folder / f"{name}.hlo").write_bytes(ir(stage="hlo_serialized"))
    results = [case.graph(batch) for _ in range(steps if updates else 1)]
    names = sorted(concrete.structured_outputs)  # As TensorFlow orders them.
    facts = {
        "task": case.task,
        "network": case.network,
        "precision": case.precision,
        "items": case.items,
        "inputs": inputs,
        "updates": {int(result): int(number) for result, number in updates},
        "result": names.index("loss" if "loss" in names else "fc6"),
        "results": [float(main_result(r).numpy().sum(dtype=float)) for r in results],
    }
    (folder / f"{name}.json").write_text(json.dumps(facts), encoding="utf-8")
    print(f"wrote {name}", flush=True)


def described(value: np.ndarray, seed: int) -> dict:
    """Describes an array by its values or, if it is large, by what is drawn in its place."""
    description = {"shape": value.shape, "dtype": value.dtype.name}
    if value.size <= SMALL:
        return description | {"values": value.ravel().tolist()}
    if (value == value.flat[0]).all():
        return description | {"values": value.flat[:1].tolist()}
    numbers = value.astype(np.float64)
    return description | {"mean": numbers.mean(), "std": numbers.std(), "seed": seed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backbones", nargs="+", default=["compact"], choices=config.BACKBONES)
    parser.add_argument("--batch_size", type=int, default=32, help="pairs of twin clips")
    parser.add_argument("--pictures", type=int, default=32, help="pictures or faces in a batch")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--stablehlo", type=pathlib.Path, help="folder to write the graphs to")
    parser.add_argument("--steps", type=int, default=3, help="steps whose losses are written, too")
    arguments = parser.parse_args()
    if arguments.stablehlo is not None:
        arguments.stablehlo.mkdir(parents=True, exist_ok=True)
        for cases in tasks(arguments):
            for case in cases:
                write_stablehlo(case, arguments.stablehlo, arguments.steps)
        return
    devices.use(config.Devices())
    print("| | network | precision | XLA | ms | core-ms | a second | GPU memory |")
    print("|---|---|---|---|---|---|---|---|")
    for cases in tasks(arguments):
        time_task(cases, arguments.repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nPeak memory of the process: {peak:.1f} GiB")


if __name__ == "__main__":
    main()
