"""Writes predictions in the format of a data set's rating files, as challenges require."""

import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ast_net import files
from ast_net.datasets import reader
from ast_net.records import example_format
from ast_net.temporal import scoring, timing

Lines = Iterator[str]


def write(
    folder: pathlib.Path,
    predictions: Sequence[scoring.RecordingPrediction],
    targets: Sequence[str],
    reaction_delay: Sequence[float],
    data_set: type[reader.Reader],
) -> None:
    """Writes one file for each recording and target, with a value for each rating time.

    The value at time t is the prediction for t minus the reaction delay: the one that `scoring`
    compares with the rating made at time t.

    Args:
      folder: receives the files, named like the data set's ratings (`RATING_FILE`): ARFF as in AVEC
        2015 to 2018, .dat with one number per line as in AVEC2012, or CSV with time and value.
      predictions: the predictions of the recordings.
      targets: the names of the D targets.
      reaction_delay: the reaction delay of each target, in seconds.
      data_set: the reader that defines the format.
    """
    names = files.safe_names(prediction.recording for prediction in predictions)
    for recording, prediction in zip(names, predictions, strict=True):
        times = rating_times(prediction.timestamps, data_set.RATING_STEP)
        values = scoring.predictions_for_ratings(prediction, reaction_delay, times)
        for target, series in zip(targets, values.T, strict=True):
            name = data_set.RATING_FILE.format(recording=recording, target=target)
            lines = _FORMATS[pathlib.Path(name).suffix](prediction.recording, times, series)
            with files.whole(folder / name) as temporary:
                temporary.write_text("".join(f"{line}\n" for line in lines), **files.ENCODING)


def rating_times(timestamps: np.ndarray, rating_step: float | None) -> np.ndarray:
    """Returns the times of a recording's ratings, float64 [R] seconds.

    Args:
      timestamps: the times of the T frames, in seconds.
      rating_step: seconds between ratings, from 0 to the end of the last frame. With a step of
        0.04 s, 300 s have 7,501 ratings. None for one rating per frame.
    """
    if rating_step is None:
        return timestamps
    end = timestamps[0] + example_format.duration(timestamps)
    return np.arange(int((end + timing.TOLERANCE) / rating_step) + 1) * rating_step


def _arff(recording: str, times: np.ndarray, values: np.ndarray) -> Lines:
    yield "@relation GOLDSTANDARD\n"
    yield "@attribute Instance_name string"
    yield "@attribute frameTime numeric"
    yield "@attribute GoldStandard numeric\n"
    yield "@data"
    for time, value in zip(times, values):
        yield f"{recording},{time:.10g},{value:.6f}"


def _csv(_: str, times: np.ndarray, values: np.ndarray) -> Lines:
    yield "time,value"
    for time, value in zip(times, values):
        yield f"{time:.10g},{value:.6f}"


def _dat(_: str, times: np.ndarray, values: np.ndarray) -> Lines:
    return (f"{value:.6f}" for value in values)


_FORMATS: dict[str, Callable[[str, np.ndarray, np.ndarray], Lines]] = {
    ".arff": _arff,
    ".csv": _csv,
    ".dat": _dat,
}
