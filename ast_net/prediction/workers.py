"""Predicts many inputs in several processes, which share the list of inputs.

A worker takes the next input that none has begun, so that all are busy to the end. What an input's
results are, and whether they are complete, its folder says (`results`), as with one process.

    python -m ast_net.prediction.workers FOLDER

is a worker on this machine. FOLDER has the work (`shared_work`), and a file INDEX.taken for each
input that a worker has taken. On a cluster, Apache Beam gives the inputs to the workers.
"""

import dataclasses
import functools
import logging as std_logging
import pathlib
import sys
import tempfile
import threading
from collections.abc import Callable

from ast_net import config, devices, errors, jobs, main, noise, shared_work
from ast_net.prediction import file_prediction, pipeline, prediction_model, summaries


@dataclasses.dataclass(frozen=True)
class Workload:
    """What the workers do together.

    Attributes:
      recordings: the files to predict, by the names of their output folders.
      pictures: what the pictures of a folder are (`config.Inputs`).
      settings: which outputs to write, and where.
      faces: how faces are tracked over time.
      networks: which networks to use.
    """

    recordings: dict[str, pathlib.Path]
    pictures: str | None
    settings: config.Outputs
    faces: config.Prediction
    networks: config.Networks


def predict(
    workload: Workload, engine: int | str, add: Callable[[file_prediction.Result], None]
) -> None:
    """Predicts the inputs of the workload; one that fails does not stop the others.

    On this machine, an input whose worker is killed has failed; on a cluster, other workers try it
    again (`shared_work`). The workers go on with the other inputs.

    Args:
      workload: the inputs and the settings.
      engine: number of processes on this machine, or Beam's options.
      add: called with each result, in the order in which they become ready.

    Raises:
      InputError: the networks cannot be loaded, the outputs are not files, or Beam failed.
      OSError: the disk is full or read-only.
    """
    settings = workload.settings
    if not settings.only_files:
        raise errors.InputError(
            "several workers need outputs that are files: leave out window and jsonl, or leave out "
            "`workers` and `beam_pipeline_options`"
        )
    inputs = [*workload.recordings.items()]
    work = shared_work.Work(
        functools.partial(_stages, workload.networks, settings.posteriors, workload.faces),
        functools.partial(_predict, settings, workload.pictures),
        inputs,
    )

    def add_result(_: int, result: file_prediction.Result) -> None:
        add(result)

    if isinstance(engine, int):
        lost = _run(work, engine, add_result)
    else:
        lost = dict.fromkeys(
            shared_work.run_on_beam(work, engine, settings.output_dir, add_result),
            shared_work.LOST,
        )
    for index, reason in lost.items():
        summary = summaries.Summary(inputs[index][0], str(inputs[index][1]))
        summary.error = f"the process that predicted it ended early: {reason}"
        add(file_prediction.Result(summary, kept=False))


def _stages(
    networks: config.Networks, posteriors: bool, faces: config.Prediction
) -> pipeline.Pipeline:
    return pipeline.Pipeline(prediction_model.load(networks, posteriors), faces)


def _predict(
    settings: config.Outputs,
    pictures: str | None,
    stages: pipeline.Pipeline,
    item: tuple[str, pathlib.Path],
) -> file_prediction.Result:
    return file_prediction.predict(stages, *item, settings, pictures, threading.Event())


def _run(
    work: shared_work.Work, workers: int, add: Callable[[int, file_prediction.Result], None]
) -> dict[int, str]:
    """Does the work in processes on this machine; returns why inputs have no result."""
    jobs.require_file_locks()
    left = set(range(len(work.elements)))
    lost: dict[int, str] = {}
    with tempfile.TemporaryDirectory(prefix="ast_net-") as name:
        folder = pathlib.Path(name)
        shared_work.write(folder, work)
        take = functools.partial(shared_work.collect, folder, left, add)
        rounds = 0
        while left:
            rounds += 1
            command = jobs.Command(f"worker_{rounds}", ("-m", __spec__.name, name))
            copies, places = min(workers, len(left)), devices.environments()
            reasons = jobs.run_copies(folder, command, copies, take, places)
            ended = [index for index in left if _taken(folder, index).exists()]
            if left and not ended:
                raise errors.InputError(reasons[0].removeprefix("error: "))
            lost |= dict.fromkeys(ended, "; ".join(reasons))
            left.difference_update(ended)
    return lost


def _taken(folder: pathlib.Path, index: int) -> pathlib.Path:
    return folder / f"{index}.taken"


def _work(folder: pathlib.Path) -> None:
    """Predicts inputs of the work in a folder until all have been taken."""
    for index in range(shared_work.load(folder).size):
        try:
            _taken(folder, index).touch(exist_ok=False)
        except FileExistsError:
            continue
        shared_work.do(folder, index)


def _main() -> None:
    try:
        with main.interrupting(), noise.reduced(std_logging.NullHandler()):
            _work(pathlib.Path(sys.argv[1]))
    except (errors.InputError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    _main()
