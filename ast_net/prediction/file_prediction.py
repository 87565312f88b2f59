"""Predicts one input and writes its outputs, unless an earlier call has done so."""

import contextlib
import math
import pathlib
import threading
import time
from typing import NamedTuple

from absl import logging

from ast_net import config, errors, files
from ast_net.faces import photographs
from ast_net.prediction import inputs, outputs, pipeline, results, summaries


class Result(NamedTuple):
    """The summary of an input, and whether its results were kept from an earlier call."""

    summary: summaries.Summary
    kept: bool


def predict(
    stages: pipeline.Pipeline,
    name: str,
    path: pathlib.Path,
    settings: config.Outputs,
    pictures: str | None,
    stop: threading.Event,
) -> Result:
    """Predicts a file; if it fails, the summary has the reason.

    Args:
      stages: the pipeline with its networks.
      name: the name of the file's output folder.
      path: the file, or a folder or pattern of pictures.
      settings: which outputs to write, and where.
      pictures: what the pictures of a folder are (`config.Inputs`).
      stop: ends the input when set.

    Raises:
      OSError: the disk is full or read-only, or the reader of standard output has stopped.
    """
    summary, kept = summaries.Summary(name, str(path), precision=stages.precision), False
    start = time.monotonic()
    try:
        source = inputs.opened(path, pictures)
        kept = _predict_file(stages, source, settings, summary, stop)
    except errors.InputError as error:
        summary.error = str(error)
    # Any other error is reported with the input, too, and the other inputs go on.
    except Exception as error:
        if files.is_final(error):
            raise
        logging.debug(name, exc_info=True)
        summary.error = f"{type(error).__name__}: {error}"
    summary.processing_seconds = summary.processing_seconds or seconds_since(start)
    return Result(summary, kept)


def _predict_file(
    stages: pipeline.Pipeline,
    source: inputs.FrameSource,
    settings: config.Outputs,
    summary: summaries.Summary,
    stop: threading.Event,
) -> bool:
    """Predicts an input and fills in its summary, unless an earlier call has finished it.

    Returns:
      Whether the results of an earlier call are kept.
    """
    start = time.monotonic()
    # Fails before anything is written if this is not a video.
    frame_count = stages.frame_count(source)
    separate = isinstance(source, photographs.Photographs)
    settings = outputs.of_photographs(settings) if separate else settings
    folder = pathlib.Path(settings.output_dir) / summary.name
    values = stages.provenance | {"outputs": settings.outputs, "posteriors": settings.posteriors}
    values |= {"landmarks": settings.landmarks}
    values |= {"pictures": "separate"} if separate else {}
    values |= {"decimal_comma": True} if settings.decimal_comma else {}
    origin = results.Origin(results.absolute(source.path), source.fingerprint, values)
    if settings.only_files and not settings.overwrite:
        names = outputs.file_names(settings, separate).values()
        finished = results.finished(folder, origin, names)
        if finished is not None:
            vars(summary).update(vars(finished) | {"input": str(source.path)})
            return True
    predictions = stages.predict_source(source, settings.images)
    with results.claimed(folder, origin) if settings.files else contextlib.nullcontext():
        outputs.write(predictions, frame_count, settings, stages, summary, stop, separate)
    summary.processing_seconds = seconds_since(start)
    if settings.files and not stop.is_set():
        results.finish(folder, origin, summary)
    return False


def seconds_since(start: float) -> float:
    """Returns the time since `start`, rounded up to 0.01 s, as it is divided by."""
    return math.ceil(100 * (time.monotonic() - start)) / 100
