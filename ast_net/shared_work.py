"""Does the same with many elements, in processes that share a folder: here, or on a cluster.

INDEX.element in the folder is an element, INDEX.begun has a byte for each time that a process began
it, and INDEX.done is its result and the warnings. So a process may die at any time, and whatever
can call a function with numbers can be the engine, such as Apache Beam with the extra `beam`.
"""

import contextlib
import dataclasses
import functools
import logging as std_logging
import os
import pathlib
import pickle
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from absl import logging

from ast_net import errors, files

# An element that kills its process would kill one after the other.
MAX_ATTEMPTS = 3
# Why an element has no result.
LOST = f"{MAX_ATTEMPTS} processes that began it have ended early, for example for lack of memory"
_WORK = "work.pickle"
_DASK_RUNNER = "apache_beam.runners.dask.dask_runner.DaskRunner"
# Seconds between two looks at the folder.
_POLL_INTERVAL = 1.0
_LOADING = threading.Lock()
# The thread that shows what elements have left, also where these are done in the same process.
_COLLECTOR = "collector"


@dataclasses.dataclass(frozen=True)
class Work:
    """What is to be done. All of it is pickled, so functions must be those of a module.

    Attributes:
      load: returns what `function` needs, such as networks; called once in each process.
      function: takes what `load` returned, and an element; returns the result. It may be called
        again for the same element. If it raises InputError or OSError, that ends the work.
      elements: the elements.
    """

    load: Callable[[], Any]
    function: Callable[[Any, Any], Any]
    elements: Sequence[Any]


def write(folder: pathlib.Path, work: Work) -> None:
    """Writes the work to a folder."""
    parts = work.load, work.function, len(work.elements)
    (folder / _WORK).write_bytes(pickle.dumps(parts))
    for index, element in enumerate(work.elements):
        _file(folder, index, "element").write_bytes(pickle.dumps(element))


class Loaded(NamedTuple):
    """What a process has loaded: `Work.function`, what it needs, the warnings of loading."""

    function: Callable[[Any, Any], Any]
    needed: Any
    messages: list[str]
    size: int


def load(folder: pathlib.Path) -> Loaded:
    """Loads the work in a folder, once in each process; `size` is its number of elements.

    Raises:
      InputError, OSError: what the function needs cannot be loaded.
    """
    with _LOADING:
        return _load(folder)


@functools.lru_cache(maxsize=1)
def _load(folder: pathlib.Path) -> Loaded:
    load_needed, function, size = pickle.loads((folder / _WORK).read_bytes())
    with _kept_warnings() as messages:
        return Loaded(function, load_needed(), messages, size)


def do(folder: pathlib.Path, index: int) -> None:
    """Does an element of the work in a folder, unless it is done or was begun too often.

    Raises:
      InputError, OSError: the function has raised it, or it cannot be loaded; also a result.
    """
    done = _file(folder, index, "done")
    if done.exists():
        return
    with _file(folder, index, "begun").open("ab") as begun:
        if begun.tell() >= MAX_ATTEMPTS:
            return
        begun.write(b".")
    with _kept_warnings() as messages:
        try:
            loaded = load(folder)
            messages += loaded.messages
            loaded.messages.clear()
            element = pickle.loads(_file(folder, index, "element").read_bytes())
            result = loaded.function(loaded.needed, element)
        except (errors.InputError, OSError) as error:
            result = error
    # `files.whole` would look through the folder, which has several files for each element.
    temporary = _file(folder, index, secrets.token_hex(4))
    temporary.write_bytes(pickle.dumps((result, messages)))
    os.replace(temporary, done)
    if isinstance(result, Exception):
        raise result


def collect(folder: pathlib.Path, left: set[int], add: Callable[[int, Any], None]) -> None:
    """Takes the results that are there, and shows the warnings.

    Args:
      folder: the folder of the work.
      left: the elements without a result so far; those that have one now are removed.
      add: called with each element's index and result.

    Raises:
      InputError, OSError: an element has raised it.
    """
    names = set(os.listdir(folder))
    for index in sorted(index for index in left if _file(folder, index, "done").name in names):
        result, messages = pickle.loads(_file(folder, index, "done").read_bytes())
        for message in messages:
            logging.warning(message)
        if isinstance(result, Exception):
            raise result
        add(index, result)
        left.remove(index)


def run_on_beam(
    work: Work, options: str, parent: str | pathlib.Path, add: Callable[[int, Any], None]
) -> list[int]:
    """Does a work with Apache Beam, on this machine or on a cluster.

    The processes work in the current folder. It, `parent`, and what the elements name must have the
    same paths on all machines.

    Args:
      work: the work.
      options: Beam's options in the format of `tfds build`, "runner=DaskRunner,...".
      parent: a folder that all processes can write to.
      add: called with each element's index and result, when they are ready.

    Returns:
      The elements without a result, see LOST.

    Raises:
      InputError: Beam is not installed, or failed; or an element has raised it.
      OSError: an element has raised it.
    """
    left = set(range(len(work.elements)))
    with files.temporary_folder(parent) as folder:
        write(folder, work)
        do_there = functools.partial(_do_in, pathlib.Path.cwd(), folder.absolute())
        take = functools.partial(collect, folder, left, add)
        try:
            with _repeating(take):
                _run_pipeline(options, do_there, len(left))
        except errors.InputError:
            raise
        except Exception as error:  # Every runner has kinds of its own.
            take()  # If an element has raised an error, this raises it.
            raise errors.InputError(
                f"`beam_pipeline_options={options}`: the pipeline failed with "
                f"{type(error).__name__}: {error}\nFix the problem, or leave this option out, and "
                "start again: what is finished is kept"
            ) from error
        finally:
            _load.cache_clear()
        take()
    return sorted(left)


def _do_in(here: pathlib.Path, folder: pathlib.Path, index: int) -> None:
    """Does an element in the folder in which the command was called, as paths may be relative."""
    for path in (here, folder):
        if not path.is_dir():
            raise errors.InputError(
                f"{path}: not a folder on {socket.gethostname()}, which works for this command; "
                "expected the same paths on all machines (tools/guides/cluster.md)"
            )
    os.chdir(here)
    do(folder, index)


def _run_pipeline(options: str, function: Callable[[int], None], count: int) -> None:
    """Calls a function with 0 ... count - 1.

    The pipeline has one end and no results, because Dask's runner computes nothing else.
    """
    try:
        import apache_beam as beam  # optional, and slow to import
        from apache_beam.options import pipeline_options
    except ImportError as error:
        raise errors.InputError(
            f"`beam_pipeline_options={options}`: Apache Beam cannot be imported ({error}); install "
            "it with tools/run -m pip install -e '.[beam]', or leave this option out"
        ) from error
    flags = [f"--{option}" for option in options.split(",")]
    if "DaskRunner" in options:
        # Beam knows this runner only by its whole name, and gives a worker 128 elements at a time.
        flags = ["--dask_partition_size=1", *flags, f"--runner={_DASK_RUNNER}"]
    pipeline = beam.Pipeline(options=pipeline_options.PipelineOptions(flags=flags))
    elements = pipeline | "Elements" >> beam.Create(range(count)) | beam.Reshuffle()
    _ = elements | "Do" >> beam.Map(function)
    result = pipeline.run()
    try:
        result.wait_until_finish()
    finally:
        # Dask's runner leaves its client open, and with it what has not begun.
        with contextlib.suppress(AttributeError):
            result.client.close()


@contextlib.contextmanager
def _repeating(function: Callable[[], None]) -> Iterator[None]:
    """Calls a function every second during the block, until it raises an error."""
    stop = threading.Event()

    def repeat() -> None:
        with contextlib.suppress(Exception):  # The last call, after the block, raises it again.
            while not stop.wait(_POLL_INTERVAL):
                function()

    thread = threading.Thread(target=repeat, name=_COLLECTOR, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def _kept_warnings() -> Iterator[list[str]]:
    """Yields a list that receives this process's warnings instead of a log."""
    messages: list[str] = []

    def is_logged(record: std_logging.LogRecord) -> bool:
        kept = record.levelno >= std_logging.WARNING and record.threadName != _COLLECTOR
        if kept:
            messages.append(record.getMessage())
        return not kept

    logging.get_absl_logger().addFilter(is_logged)
    try:
        yield messages
    finally:
        logging.get_absl_logger().removeFilter(is_logged)


def _file(folder: pathlib.Path, index: int, suffix: str) -> pathlib.Path:
    return folder / f"{index}.{suffix}"
