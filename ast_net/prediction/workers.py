"""Predicts many inputs in several processes, which share the list of inputs.

A worker takes the next input that none has begun, so that all are busy to the end. What an input's
results are, and whether they are complete, its folder says (`results`), as with one process.

    python -m ast_net.prediction.workers FOLDER

is a worker. FOLDER has the work, a file INDEX.begun for each input that was begun, and a file
INDEX.done with its result and the warnings.
"""

import dataclasses
import logging as std_logging
import pathlib
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable

from absl import logging

from ast_net import config, errors, files, jobs, main, noise
from ast_net.prediction import file_prediction, pipeline, prediction_model, summaries

_WORK = "work.pickle"


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


def predict(work: Workload, workers: int, add: Callable[[file_prediction.Result], None]) -> None:
    """Predicts the inputs of the work; one that fails does not stop the others.

    An input whose worker is killed has failed; another worker goes on with the others.

    Args:
      work: the inputs and the settings.
      workers: number of processes.
      add: called with each result, in the order in which they become ready.

    Raises:
      InputError: the networks cannot be loaded, or the outputs are not files.
      OSError: the disk is full or read-only.
    """
    jobs.require_file_locks()
    if not work.settings.only_files:
        raise errors.InputError(
            "`workers` need outputs that are files: leave out window and jsonl, or give `workers=1`"
        )
    left = dict(enumerate(work.recordings.items()))
    with tempfile.TemporaryDirectory(prefix="ast_net-") as name:
        folder = pathlib.Path(name)
        (folder / _WORK).write_bytes(pickle.dumps(work))

        def collect() -> None:
            for index in [k for k in left if _done(folder, k).exists()]:
                result, messages = pickle.loads(_done(folder, index).read_bytes())
                for message in messages:
                    logging.warning(message)
                if isinstance(result, OSError):  # Such as a full disk: the other inputs would fail.
                    raise result
                del left[index]
                add(result)

        rounds = 0
        while left:
            rounds += 1
            command = jobs.Command(f"worker_{rounds}", ("-m", __spec__.name, name))
            reasons = jobs.run_copies(folder, command, min(workers, len(left)), collect)
            lost = [index for index in left if _begun(folder, index).exists()]
            if left and not lost:
                raise errors.InputError(reasons[0].removeprefix("error: "))
            for index in lost:
                summary = summaries.Summary(left[index][0], str(left[index][1]))
                summary.error = f"the process that predicted it ended early: {'; '.join(reasons)}"
                del left[index]
                add(file_prediction.Result(summary, kept=False))


def _begun(folder: pathlib.Path, index: int) -> pathlib.Path:
    return folder / f"{index}.begun"


def _done(folder: pathlib.Path, index: int) -> pathlib.Path:
    return folder / f"{index}.done"


class _Warnings(std_logging.Handler):
    """Keeps warnings for the process that shows them."""

    def __init__(self) -> None:
        super().__init__(std_logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: std_logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _work(folder: pathlib.Path, warnings: _Warnings) -> None:
    """Predicts inputs of the work in a folder until all have been begun."""
    work: Workload = pickle.loads((folder / _WORK).read_bytes())
    model = prediction_model.load(work.networks, work.settings.posteriors)
    predictor = pipeline.Pipeline(model, work.faces)
    for index, (name, path) in enumerate(work.recordings.items()):
        try:
            _begun(folder, index).touch(exist_ok=False)
        except FileExistsError:
            continue
        result: file_prediction.Result | OSError
        try:
            result = file_prediction.predict(
                predictor, name, path, work.settings, work.pictures, threading.Event()
            )
        except OSError as error:
            result = error
        with files.whole(_done(folder, index)) as temporary:
            temporary.write_bytes(pickle.dumps((result, warnings.messages)))
        warnings.messages.clear()


def _main() -> None:
    warnings = _Warnings()
    try:
        with main.interrupting(), noise.reduced(warnings):
            _work(pathlib.Path(sys.argv[1]), warnings)
    except errors.InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    _main()
