"""Predictions as files like a data set's ratings: what a challenge takes in."""

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
    """Writes a file for each recording and target, at the ratings' times.

    Each value is the prediction for its time less the reaction delay, as `scoring` compares it with
    the rating of that time.

    Args:
      folder: gets the files, called as the data set calls its ratings (`RATING_FILE`): ARFF as of
        AVEC 2015 to 2018, .dat with a number a line as of AVEC2012, or CSV of time and value.
      predictions: of the recordings.
      targets: the names of the D targets.
      reaction_delay: seconds by which the ratings lag, of each target.
      data_set: whose format it is.
    """
    for prediction in predictions:
        times = rating_times(prediction.timestamps, data_set.RATING_STEP)
        values = scoring.predictions_for_ratings(prediction, reaction_delay, times)
        for target, series in zip(targets, values.T, strict=True):
            name = data_set.RATING_FILE.format(recording=prediction.recording, target=target)
            lines = _FORMATS[pathlib.Path(name).suffix](prediction.recording, times, series)
            with files.whole(folder / name) as temporary:
                temporary.write_text("".join(f"{line}\n" for line in lines))


def rating_times(timestamps: np.ndarray, rating_step: float | None) -> np.ndarray:
    """Returns the times at which a recording is rated, float64 [R] seconds.

    Args:
      timestamps: of the T frames, seconds.
      rating_step: seconds between ratings, which go from 0 to the end of the last frame: 300 s have
        7,501 ratings 0.04 s apart; None for a rating at each frame.
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
