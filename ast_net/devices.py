"""Chooses what TensorFlow computes on: processor or GPUs, arithmetic, and whether XLA compiles."""

import contextlib
import os
import pathlib
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import tensorflow as tf
from absl import logging

from ast_net import config, errors, fields, jobs, screen

# The variable that tells a process its GPUs, and what it was when this process began.
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_GIVEN = os.environ.get(_VISIBLE)
# Keras's dtype policies by the values of `mixed_precision`.
_POLICIES = {"false": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
# Parts of a processor's name that are not shown.
_LEGAL = re.compile(r"\((R|TM|tm)\)| CPU| Processor| @.*| \d+-Core")

_Run = TypeVar("_Run", config.Experiment, config.Finetuning)


class Gpu(NamedTuple):
    """A GPU's name, and its CUDA compute capability: (8, 0) for an A100, (0, 0) without CUDA."""

    name: str
    capability: tuple[int, int]


def use(settings: config.Devices) -> None:
    """Gives TensorFlow the devices of the settings, and says what it runs on.

    Call it before anything is computed: TensorFlow keeps the devices that it begins with. Processes
    that this one starts inherit the choice.

    Raises:
      InputError: a GPU is asked for and not there, or TensorFlow has begun with other devices.
    """
    found = tf.config.list_physical_devices("GPU")
    # auto keeps those that a Python program may have chosen before.
    offered = tf.config.get_visible_devices("GPU") if settings.device == "auto" else found
    chosen = [offered[k] for k in select(settings.device, _described(offered), _why_no_gpu())]
    try:
        tf.config.set_visible_devices(chosen, "GPU")
    except RuntimeError as error:
        raise errors.InputError(
            f"`device={settings.device}`: TensorFlow has already begun with other devices in this "
            f"process ({error}): set `device` at the first call"
        ) from error
    for gpu in chosen:
        with contextlib.suppress(RuntimeError):  # A Python program has computed on it before.
            tf.config.experimental.set_memory_growth(gpu, settings.memory_growth)
    tf.config.experimental.enable_tensor_float_32_execution(settings.tf32)
    if settings.deterministic:
        tf.config.experimental.enable_op_determinism()
    if found:
        names = _GIVEN.split(",") if _GIVEN else [str(k) for k in range(len(found))]
        os.environ[_VISIBLE] = ",".join(names[found.index(gpu)] for gpu in chosen) or "-1"
        os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = str(settings.memory_growth).lower()
    elif settings.device == "auto" and _nvidia_files():
        logging.warning(_why_no_gpu())
    if not settings.tf32:
        os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    if settings.deterministic:
        os.environ["TF_DETERMINISTIC_OPS"] = "1"
    _say(settings)


def gpus() -> tuple[Gpu, ...]:
    """Returns the GPUs in use; none if the processor computes."""
    return _described(tf.config.get_visible_devices("GPU"))


def select(device: str, gpus: Sequence[Gpu], why_none: str) -> list[int]:
    """Returns the positions of the GPUs that `device` names; none stands for the processor.

    Args:
      device: a value of `config.Devices.device`.
      gpus: all that there are.
      why_none: why there are none, for the message.

    Raises:
      InputError: GPUs are asked for and not there.
    """
    if device in ("auto", "cpu"):
        return list(range(len(gpus))) if device == "auto" else []
    if not gpus:
        raise errors.InputError(f"`device={device}`: {why_none}, or give `device=cpu`")
    positions = sorted({int(k) for k in device.partition(":")[2].split(",") if k})
    if positions and positions[-1] >= len(gpus):
        names = ", ".join(f"{k}: {gpu.name}" for k, gpu in enumerate(gpus))
        raise errors.InputError(
            f"`device={device}`: found {screen.number(len(gpus), 'GPU')} ({names}): give their "
            "numbers, or `device=auto`"
        )
    return positions or list(range(len(gpus)))


def arithmetic(mixed_precision: str, gpus: Sequence[Gpu]) -> str:
    """Returns what `mixed_precision` stands for on these GPUs: false, bfloat16 or float16.

    GPUs have fast bfloat16 products from compute capability 8.0 on, and fast float16 ones from 7.0
    on. Processors with AMX gain by bfloat16 as well, but others lose, so it has to be asked for.
    """
    if mixed_precision not in ("auto", "true"):
        return mixed_precision
    oldest = min((gpu.capability for gpu in gpus), default=None)
    if oldest is None:
        return "bfloat16" if mixed_precision == "true" else "false"
    if oldest >= (8, 0):
        return "bfloat16"
    return "float16" if oldest >= (7, 0) or mixed_precision == "true" else "false"


def resolved(settings: _Run, stored: _Run | None) -> _Run:
    """Returns the settings of a run with what `mixed_precision` stands for.

    A run that is continued, on this machine or another, keeps the arithmetic that it began with,
    unless another one is asked for by name; then the difference is an error (`workdir.check`).

    Args:
      settings: the run, as it is asked for.
      stored: the run that its workdir holds, if any.
    """
    asked = fields.values(settings)["mixed_precision"]
    # The temporal model is too small to gain by it.
    small = asked == "auto" and isinstance(settings, config.Experiment)
    result = "false" if small else arithmetic(asked, gpus())
    if stored is not None:
        began = fields.values(stored)["mixed_precision"]
        if began != result and (asked == "auto" or (asked == "true" and began != "false")):
            logging.info(
                f"the run goes on in {_words(began)}, as it began; on this machine it would have "
                f"begun in {_words(result)}"
            )
            result = began
    return fields.changed(settings, {"mixed_precision": result})


def policy(mixed_precision: str) -> str:
    """Returns the Keras dtype policy that `mixed_precision` stands for here."""
    return _POLICIES[arithmetic(mixed_precision, gpus())]


def compiles(jit_compile: str, gpus: Sequence[Gpu], replicas: int = 1) -> bool:
    """Returns whether XLA compiles a training step.

    On processors it gains nothing, so it has to be asked for.

    Args:
      jit_compile: a value of `config.Arithmetic.jit_compile`.
      gpus: those in use.
      replicas: number of devices that compute the step together.

    Raises:
      InputError: several devices compute the step, which XLA cannot compile.
    """
    if jit_compile == "true" and replicas > 1:
        raise errors.InputError(
            f"`jit_compile=true`: XLA compiles a step for one device, but {replicas} compute it: "
            "give one of them, such as `device=gpu:0`, or `jit_compile=auto`"
        )
    return jit_compile == "true" or (jit_compile == "auto" and len(gpus) > 0 and replicas == 1)


def strategy(batch_size: int | None = None) -> tf.distribute.Strategy:
    """Returns the strategy that divides batches among the GPUs in use.

    Networks that are built in its scope are on all of them.

    Args:
      batch_size: if given, as many GPUs are used as divide it into equal parts.
    """
    count = len(gpus())
    count = max((k for k in range(1, count + 1) if (batch_size or k) % k == 0), default=0)
    if count < 2:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([f"GPU:{k}" for k in range(count)])


def share(batch: tf.Tensor) -> tf.Tensor:
    """Returns the part of a batch that this device computes, [n B, ...] -> [B, ...].

    Call it within `strategy.run`; with one device, the part is all of it.
    """
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync == 1:
        return batch
    parts = tf.reshape(batch, (replica.num_replicas_in_sync, -1, *batch.shape[1:]))
    return parts[replica.replica_id_in_sync_group]


@contextlib.contextmanager
def memory_reported(remedy: str) -> Iterator[None]:
    """Turns TensorFlow's error about full memory into one that says what to do.

    Args:
      remedy: such as "give a smaller `batch_size`".

    Raises:
      InputError: in place of that error.
    """
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        # The message begins with the name of the operation; hints for programmers follow.
        reason = error.message.rpartition("}} ")[2].partition("\n")[0][:200]
        raise errors.InputError(
            f"the {'GPU' if gpus() else 'machine'}'s memory is full ({reason}): {remedy}, or stop "
            "other programs that use it"
        ) from error


def environments() -> list[Mapping[str, str]]:
    """Returns the variables for processes that compute side by side, each on a GPU of its own."""
    names = os.environ.get(_VISIBLE, "").split(",")
    return [{_VISIBLE: name} for name in names] if gpus() else [{}]


def say_how_it_trains(mixed_precision: str, compiled: bool, replicas: int = 1) -> None:
    """Says in which arithmetic a network is trained, and on how many of several GPUs."""
    count = len(gpus())
    parts = [f"training in {_words(mixed_precision)}"]
    parts += ["compiled by XLA"] * compiled
    parts += [f"on {replicas} of {count} GPUs"] * (count > 1)
    logging.info(", ".join(parts))


def _words(mixed_precision: str) -> str:
    return policy(mixed_precision).replace("_", " ")


def _described(devices: Sequence[tf.config.PhysicalDevice]) -> tuple[Gpu, ...]:
    details = [tf.config.experimental.get_device_details(device) for device in devices]
    return tuple(
        Gpu(one.get("device_name", "unknown"), one.get("compute_capability", (0, 0)))
        for one in details
    )


def _say(settings: config.Devices) -> None:
    used = gpus()
    if used:
        names = ", ".join(dict.fromkeys(gpu.name for gpu in used))
        # Older GPUs do not have it.
        names += ", TensorFloat-32" * (settings.tf32 and used[0].capability >= (8, 0))
        processors = f"{screen.number(len(used), 'GPU')} ({names})"
    else:
        processors = f"{screen.number(jobs.cores(), 'CPU core')} ({_processor()})"
    exactly = ", deterministic" * settings.deterministic
    logging.info(f"running on {processors}, TensorFlow {tf.__version__}{exactly}")


def _nvidia_files() -> list[pathlib.Path]:
    """Returns the files that NVIDIA's driver makes, one for each GPU."""
    return [*pathlib.Path("/dev").glob("nvidia[0-9]*")]


def _why_no_gpu() -> str:
    """Says why TensorFlow finds no GPU, and what to do."""
    if not tf.test.is_built_with_cuda():
        return "this TensorFlow cannot use GPUs: install it on Linux, or in Windows's WSL"
    remedy = "install what TensorFlow needs for it, pip install '.[gpu]'"
    if _nvidia_files():
        return f"this machine has an NVIDIA GPU, but TensorFlow cannot use it: {remedy}"
    return f"found no GPU with NVIDIA's driver: if there is one, {remedy}"


def _processor() -> str:
    """Returns the processor's name."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = pathlib.Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    return " ".join(_LEGAL.sub("", name).split())
