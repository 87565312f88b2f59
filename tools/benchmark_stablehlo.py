"""Runs what tools/benchmark_training.py --stablehlo wrote, with JAX: on a GPU without TensorFlow.

    python tools/benchmark_stablehlo.py FOLDER [--calls=50] [--minutes=8]

Needs JAX and NumPy only. Compares the results of the first calls (loss, or sum of the features)
with those of TensorFlow on the machine that wrote the folder, and times further calls. Prints
Markdown. It calls what JAX itself compiles with, as JAX 0.10 and 0.11 have it.
"""

import argparse
import json
import pathlib
import statistics
import time

import numpy as np


def drawn(description: dict) -> np.ndarray:
    """Returns the array that a description of benchmark_training.py stands for."""
    shape, dtype = description["shape"], description["dtype"]
    if "seed" not in description:
        return np.resize(np.asarray(description["values"], dtype), shape)  # Repeats one value.
    rng = np.random.default_rng(description["seed"])
    numbers = rng.standard_normal(shape, np.float32) * description["std"] + description["mean"]
    if np.issubdtype(np.dtype(dtype), np.integer):
        limits = np.iinfo(dtype)
        numbers = np.clip(numbers, limits.min, limits.max)
    return numbers.astype(dtype)


class Step:
    """A compiled graph; each call goes on from the weights that the one before left."""

    def __init__(self, file: pathlib.Path) -> None:
        import jax
        from jax._src import compiler, xla_bridge
        from jax._src.interpreters import mlir
        from jax._src.lib import xla_client
        from jax._src.lib.mlir import ir

        module = xla_client._xla.mlir.hlo_to_stablehlo(file.with_suffix(".hlo").read_bytes())
        with mlir.make_ir_context() as context:
            context.allow_unregistered_dialects = True
            module = ir.Module.parse(module).operation.get_asm(print_generic_op_form=True)
        # JAX's compiler for GPUs does not know how TensorFlow returns an input as a result.
        module = module.replace("mhlo.copy", "stablehlo.optimization_barrier")
        devices = xla_client.DeviceList(tuple(jax.devices()[:1]))
        options = compiler.get_compile_options(num_replicas=1, num_partitions=1)
        self.facts = json.loads(file.read_text(encoding="utf-8"))
        start = time.perf_counter()
        self._run = xla_bridge.get_backend().compile_and_load(module, devices, options)
        self.compile_seconds = time.perf_counter() - start
        sizes = self._run.get_compiled_memory_stats()
        results = sizes.output_size_in_bytes - sizes.alias_size_in_bytes
        self.bytes = sizes.argument_size_in_bytes + sizes.temp_size_in_bytes + results
        with jax.enable_x64(True):
            self._inputs = [jax.device_put(drawn(value)) for value in self.facts["inputs"]]

    def __call__(self):
        """Returns the loss or the features, which may not be there yet."""
        results = self._run.execute_sharded(self._inputs).disassemble_into_single_device_arrays()
        for result, number in self.facts["updates"].items():
            self._inputs[number] = results[int(result)][0]
        return results[self.facts["result"]][0]


def time_step(file: pathlib.Path, calls: int) -> str:
    """Returns a row of the table."""
    step = Step(file)
    expected = np.asarray(step.facts["results"])
    results = np.asarray([np.asarray(step(), np.float32).sum(dtype=np.float64) for _ in expected])
    difference = f"{np.abs(results / expected - 1).max():.1e}" if len(expected) else "-"
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        np.asarray(step())
        seconds.append(time.perf_counter() - start)
    # As training does it: the host does not wait for each step.
    start = time.perf_counter()
    for _ in range(calls):
        last = step()
    np.asarray(last)
    streamed = (time.perf_counter() - start) / calls
    facts = step.facts
    return (
        f"| {facts['task']} | {facts['network']} | {facts['precision']} "
        f"| {1000 * statistics.median(seconds):.2f} | {1000 * streamed:.2f} "
        f"| {facts['items'] / streamed:.0f} | {step.bytes / 2**20:.0f} | {difference} "
        f"| {step.compile_seconds:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=8, help="no step is begun after these")
    arguments = parser.parse_args()
    import jax

    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}\n")
    print(
        "| | network | precision | ms alone | ms in a row | a second | MiB "
        "| largest relative difference | s to compile |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    end = time.monotonic() + 60 * arguments.minutes
    for file in sorted(arguments.folder.glob("*.json"), key=lambda file: file.stat().st_size):
        if time.monotonic() < end:
            print(time_step(file, arguments.calls), flush=True)


if __name__ == "__main__":
    main()
