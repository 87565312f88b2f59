"""What computes: the devices, the arithmetic and XLA that a setting stands for, and messages."""

import os
import pathlib
import re

import pytest
import tensorflow as tf
from calls import ROOT, call

from ast_net import config, devices, errors, fields
from ast_net.training import runs

P100 = devices.Gpu("Tesla P100", (6, 0))
V100 = devices.Gpu("Tesla V100", (7, 0))
A100 = devices.Gpu("NVIDIA A100", (8, 0))
H100 = devices.Gpu("NVIDIA H100", (9, 0))
AMD = devices.Gpu("unknown", (0, 0))


class Machine:
    """Stands for TensorFlow's configuration on a machine with GPUs."""

    def __init__(self, monkeypatch, gpus):
        self.gpus, self.visible, self.growth, self.tf32 = gpus, list(gpus), {}, None
        self.deterministic = False
        here = tf.config.experimental
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: self.gpus)
        monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: self.visible)
        monkeypatch.setattr(tf.config, "set_visible_devices", self.see)
        monkeypatch.setattr(here, "get_device_details", self.details)
        monkeypatch.setattr(here, "set_memory_growth", self.growth.__setitem__)
        monkeypatch.setattr(
            here, "enable_tensor_float_32_execution", lambda on: setattr(self, "tf32", on)
        )
        monkeypatch.setattr(
            here, "enable_op_determinism", lambda: setattr(self, "deterministic", True)
        )
        monkeypatch.setattr(devices, "_nvidia_files", list)
        # Restored after the test.
        for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "TF_DETERMINISTIC_OPS"):
            monkeypatch.setenv(name, "")
        monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "")

    def see(self, gpus, kind):
        self.visible = gpus

    def details(self, gpu):
        return {"device_name": gpu.name, "compute_capability": gpu.capability}


@pytest.mark.parametrize(
    ("device", "gpus", "expected"),
    [
        ("auto", [], []),
        ("auto", [A100], [0]),
        ("auto", [A100, H100], [0, 1]),
        ("cpu", [], []),
        ("cpu", [A100], []),
        ("gpu", [A100, H100], [0, 1]),
        ("gpu:1", [A100, H100], [1]),
        ("gpu:1,0,1", [A100, H100, H100], [0, 1]),
    ],
)
def test_which_gpus_a_device_names(device, gpus, expected):
    assert devices.select(device, gpus, "no GPU") == expected


@pytest.mark.parametrize(
    ("device", "gpus", "message"),
    [
        ("gpu", [], "`device=gpu`: no GPU, or give `device=cpu`"),
        ("gpu:0", [], "`device=gpu:0`: no GPU, or give `device=cpu`"),
        ("gpu:0,2", [A100, V100], "found 2 GPUs (0: NVIDIA A100, 1: Tesla V100): give their"),
    ],
)
def test_a_gpu_that_is_not_there_is_an_error(device, gpus, message):
    with pytest.raises(errors.InputError) as raised:
        devices.select(device, gpus, "no GPU")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("gpus", "auto", "true"),
    [
        ([], "false", "bfloat16"),
        ([AMD], "false", "float16"),
        ([P100], "false", "float16"),
        ([V100], "float16", "float16"),
        ([A100], "bfloat16", "bfloat16"),
        ([H100, V100], "float16", "float16"),
    ],
)
def test_what_mixed_precision_stands_for(gpus, auto, true):
    assert devices.arithmetic("auto", gpus) == auto
    assert devices.arithmetic("true", gpus) == true
    for given in ("false", "bfloat16", "float16"):
        assert devices.arithmetic(given, gpus) == given


def test_on_a_gpu_the_cnn_is_trained_in_bfloat16_and_the_temporal_model_in_float32(monkeypatch):
    Machine(monkeypatch, [A100])
    assert devices.resolved(config.Finetuning(), None).mixed_precision == "bfloat16"
    assert devices.resolved(config.Experiment(), None).training.mixed_precision == "false"
    asked = fields.changed(config.Experiment(), {"mixed_precision": "true"})
    assert devices.resolved(asked, None).training.mixed_precision == "bfloat16"


@pytest.mark.parametrize(
    ("jit_compile", "gpus", "replicas", "expected"),
    [
        ("auto", [], 1, False),
        ("auto", [A100], 1, True),
        ("auto", [A100, A100], 1, True),
        ("auto", [A100, A100], 2, False),
        ("true", [], 1, True),
        ("false", [A100], 1, False),
    ],
)
def test_whether_xla_compiles(jit_compile, gpus, replicas, expected):
    assert devices.compiles(jit_compile, gpus, replicas) == expected


def test_xla_cannot_compile_for_several_devices():
    with pytest.raises(errors.InputError, match="give one of them, such as `device=gpu:0`"):
        devices.compiles("true", [A100, A100], 2)


@pytest.mark.parametrize(
    ("began", "asked", "expected"),
    [
        # A run that began on another machine goes on as it began.
        ("bfloat16", "auto", "bfloat16"),
        ("float16", "auto", "float16"),
        ("float16", "true", "float16"),
        # What is asked for by name is compared, and refused by `workdir.check`.
        ("bfloat16", "false", "false"),
        ("false", "true", "bfloat16"),
        ("float16", "bfloat16", "bfloat16"),
    ],
)
def test_a_run_keeps_its_arithmetic(began, asked, expected, caplog, monkeypatch):
    """On this machine auto is float32, and true bfloat16."""
    caplog.set_level("INFO", "absl")
    Machine(monkeypatch, [])
    stored = config.Finetuning(mixed_precision=began)
    run = devices.resolved(config.Finetuning(mixed_precision=asked), stored)
    assert run.mixed_precision == expected
    kept = expected == began
    assert kept == any(f"goes on in mixed {began}, as it" in line for line in caplog.messages)
    new = devices.resolved(fields.changed(config.Experiment(), {"mixed_precision": asked}), None)
    assert new.training.mixed_precision == devices.arithmetic(asked, [])


@pytest.mark.parametrize(
    ("model_name", "expected"),
    [
        ("AMD EPYC 7B12", "AMD EPYC 7B12"),
        ("AMD EPYC 7742 64-Core Processor", "AMD EPYC 7742"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel Xeon"),
        ("Intel(R) Core(TM) i7-1165G7 CPU @ 2.80GHz", "Intel Core i7-1165G7"),
    ],
)
def test_it_says_on_which_processor_it_runs(model_name, expected, monkeypatch, caplog):
    caplog.set_level("INFO", "absl")
    cpuinfo = f"processor : 0\nmodel name\t: {model_name}\nmodel name\t: {model_name}\n"
    monkeypatch.setattr(pathlib.Path, "read_text", lambda *_, **__: cpuinfo)
    monkeypatch.setattr(devices.jobs, "cores", lambda: 2)
    Machine(monkeypatch, [])
    devices.use(config.Devices())
    assert caplog.messages == [f"running on 2 CPU cores ({expected}), TensorFlow {tf.__version__}"]


@pytest.mark.parametrize(
    ("device", "given", "visible", "environments", "said"),
    [
        ("auto", None, "0,1,2", ["0", "1", "2"], "3 GPUs (NVIDIA A100, NVIDIA H100, TensorF"),
        ("gpu:1,2", None, "1,2", ["1", "2"], "2 GPUs (NVIDIA H100, NVIDIA A100, TensorFloat-32)"),
        ("gpu:1,2", "4,6,7", "6,7", ["6", "7"], "2 GPUs (NVIDIA H100, NVIDIA A100, "),
        ("cpu", "4,6,7", "-1", [None], "CPU core"),
    ],
)
def test_processes_inherit_the_gpus_in_use(
    device, given, visible, environments, said, monkeypatch, caplog
):
    caplog.set_level("INFO", "absl")
    machine = Machine(monkeypatch, [A100, H100, devices.Gpu("NVIDIA A100", (8, 6))])
    monkeypatch.setattr(devices, "_GIVEN", given)
    devices.use(config.Devices(device=device))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
    found = [place.get("CUDA_VISIBLE_DEVICES") for place in devices.environments()]
    assert found == environments
    assert said in caplog.text
    assert machine.growth == dict.fromkeys(machine.visible, True)
    assert (machine.tf32, machine.deterministic) == (True, False)
    assert not os.environ["NVIDIA_TF32_OVERRIDE"] and not os.environ["TF_DETERMINISTIC_OPS"]


def test_settings_reach_tensorflow_and_other_processes(monkeypatch, caplog):
    caplog.set_level("INFO", "absl")
    machine = Machine(monkeypatch, [A100])
    devices.use(config.Devices(memory_growth=False, tf32=False, deterministic=True))
    assert (machine.growth, machine.tf32, machine.deterministic) == ({A100: False}, False, True)
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0" and os.environ["TF_DETERMINISTIC_OPS"] == "1"
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "false"
    assert "running on 1 GPU (NVIDIA A100), " in caplog.text
    assert caplog.text.rstrip().endswith(", deterministic")


def test_devices_cannot_change_after_the_first_computation(monkeypatch):
    Machine(monkeypatch, [A100, H100])

    def refuse(*_):
        raise RuntimeError("cannot be modified after being initialized")

    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", refuse)
    devices.use(config.Devices())  # Another call with the same devices is welcome.
    monkeypatch.setattr(tf.config, "set_visible_devices", refuse)
    with pytest.raises(errors.InputError, match="`device=gpu:1`: TensorFlow has already begun"):
        devices.use(config.Devices(device="gpu:1"))


def test_it_says_how_it_trains(monkeypatch, caplog):
    caplog.set_level("INFO", "absl")
    Machine(monkeypatch, [])
    devices.say_how_it_trains("auto", compiled=False)
    monkeypatch.setattr(devices, "gpus", lambda: (A100, V100, H100))
    devices.say_how_it_trains("auto", compiled=True)
    devices.say_how_it_trains("bfloat16", compiled=False, replicas=2)
    assert caplog.messages == [
        "training in float32",
        "training in mixed float16, compiled by XLA, on 1 of 3 GPUs",
        "training in mixed bfloat16, on 2 of 3 GPUs",
    ]


@pytest.mark.parametrize(
    ("cuda", "files", "expected"),
    [
        (False, [], "this TensorFlow cannot use GPUs: install it on Linux"),
        (True, [], r"found no GPU with NVIDIA's driver: if there is one, install .*'\.\[gpu\]'"),
        (
            True,
            ["nvidia0"],
            "this machine has an NVIDIA GPU, but TensorFlow cannot use it",
        ),
    ],
)
def test_it_says_why_there_is_no_gpu(cuda, files, expected, monkeypatch, caplog):
    Machine(monkeypatch, [])
    monkeypatch.setattr(tf.test, "is_built_with_cuda", lambda: cuda)
    monkeypatch.setattr(devices, "_nvidia_files", lambda: files)
    with pytest.raises(errors.InputError, match=f"`device=gpu`: {expected}.*or give `device=cpu`"):
        devices.use(config.Devices(device="gpu"))
    devices.use(config.Devices())
    assert any("NVIDIA GPU, but" in message for message in caplog.messages) == bool(files)


def test_without_a_gpu_training_stops_with_one_line_or_goes_on(monkeypatch):
    Machine(monkeypatch, [])
    trained = []
    monkeypatch.setattr(runs, "train_and_evaluate", trained.append)
    flags = ["--dataset=demo", f"--flagfile={ROOT / 'flags/gpu.flags'}"]
    done = call("train", *flags)
    assert re.fullmatch(r"error: --device=gpu: .*, or give --device=cpu", str(done.ended))
    assert not done.said and not trained
    for device in ("auto", "cpu"):
        done = call("train", *flags, f"--device={device}")
        assert done.ended == 0
        assert re.fullmatch(r"running on \d+ CPU cores? \(.*\), TensorFlow .*\n", done.said)
    assert [run.training.batch_size for run in trained] == [128, 128]


def test_full_memory_is_reported_with_a_remedy(monkeypatch):
    Machine(monkeypatch, [])
    message = "{{node step}} OOM when allocating tensor with shape[32,9]\n more"
    with (
        pytest.raises(
            errors.InputError, match=r"machine's memory is full \(OOM when .*\[32,9\]\): do x"
        ),
        devices.memory_reported("do x"),
    ):
        raise tf.errors.ResourceExhaustedError(None, None, message)


@pytest.mark.parametrize(("batch_size", "count"), [(None, 4), (8, 4), (6, 3), (10, 2), (7, 1)])
def test_gpus_get_equal_parts_of_a_batch(batch_size, count, monkeypatch):
    monkeypatch.setattr(devices, "gpus", lambda: (A100,) * 4)
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", len)
    strategy = devices.strategy(batch_size)
    assert (strategy if count > 1 else strategy.num_replicas_in_sync) == count
