"""Compares the predictions of one film at several frame rates; prints a Markdown table.

    tools/run tools/compare_frame_rates.py [--seconds=34]

The demo's synthesis draws the same motion at 15, 30 and 60 frames/s, and at a rate that rises from
15 to 30 in the middle. The model that comes with the package predicts each film by predict and, as
one's own recordings, by prepare and evaluate. This takes a minute or two for ten seconds of film.

Required: a mean absolute difference of at most 0.03 from the film of 30 frames/s, at its times.
"""

import argparse
import pathlib
import sys
import tempfile
from collections.abc import Sequence

import numpy as np

from ast_net import config, errors
from ast_net.demo import synthesis, synthetic_face
from ast_net.faces import video, video_writer
from ast_net.prediction import pipeline, prediction_model
from ast_net.records import store
from ast_net.reports import evaluation
from ast_net.temporal import streaming

REFERENCE = "30"
# Times [n] in seconds, and valence and arousal at these times [n, 2].
Curve = tuple[np.ndarray, np.ndarray]


def film_times(seconds: float) -> dict[str, np.ndarray]:
    """Returns the times of each film's frames in seconds, by the film's name."""
    times = {str(rate): np.arange(round(seconds * rate)) / rate for rate in (15, 30, 60)}
    slow, fast = times["15"], times["30"]
    rising = np.concatenate([slow[slow < seconds / 2], fast[fast >= seconds / 2]])
    return {**times, "15, then 30": rising}


def write_film(path: pathlib.Path, times: np.ndarray, hidden: tuple[float, float] = (0, 0)) -> None:
    """Writes a film of one person.

    Args:
      path: the video file.
      times: times of the frames, in seconds.
      hidden: from when until when the person is away, in seconds.
    """
    curves = synthesis.latent("P1", times, synthesis.DemoSettings(seconds=60.0))
    images = synthetic_face.record(np.random.default_rng(3), times, curves)
    with video_writer.open_writer(path) as writer:
        for time, image in zip(times.tolist(), images, strict=True):
            away = hidden[0] <= time < hidden[1]
            writer.write(np.full_like(image, 90) if away else image, time)


def predicted(model: prediction_model.PredictionModel, path: pathlib.Path) -> Curve:
    """Predicts a film as predict does; returns the frames that show the face."""
    predictions = pipeline.Pipeline(model, config.Prediction()).predict(video.Video(path).frames())
    visible = [frame for frame in predictions if any(face.valid for face in frame.faces)]
    times = np.array([frame.timestamp for frame in visible])
    return times, np.stack([frame.faces[0].values for frame in visible])


def evaluated(
    model: prediction_model.PredictionModel, films: Sequence[pathlib.Path], folder: pathlib.Path
) -> dict[str, Curve]:
    """Predicts films as evaluate does, in a new folder; returns the frames that show the face.

    The films get made-up ratings, which do not matter for the predictions.

    Returns:
      The curve of each film, by the film's name.
    """
    folder.mkdir()
    recordings = ["recording,video,split,ratings"]
    for k, film in enumerate(films):
        split = "dev" if k else "train"
        recordings.append(f"{film.stem},{film.resolve()},{split},{film.stem}.csv")
        ratings = ["time,valence,arousal"]
        rating_times = np.arange(0, video.Video(film).duration or 0, 0.1)
        ratings += [f"{time:.1f},{np.sin(time + k):.3f},0.1" for time in rating_times]
        (folder / f"{film.stem}.csv").write_text("\n".join(ratings))
    (folder / "recordings.csv").write_text("\n".join(recordings))
    settings = config.Preparation(
        dataset="recordings", manual_dir=str(folder), data_dir=str(folder / "data")
    )
    records = store.prepare(settings)
    spec = model.temporal.spec
    predictor = streaming.StreamingPredictor(model.temporal.network, spec.time_step)
    curves = {}
    for split in records.splits:
        for p in evaluation.predict(predictor, records.segments(split)):
            curves[p.recording] = (p.timestamps[p.face], p.predictions[p.face])
    return curves


def differences(curve: Curve, reference: Curve) -> np.ndarray:
    """Returns the mean absolute differences of valence and arousal, [2].

    The curve is interpolated at those times of the reference that lie within its own.
    """
    (times, values), (reference_times, expected) = curve, reference
    inside = (reference_times >= times[0]) & (reference_times <= times[-1])
    columns = [np.interp(reference_times[inside], times, column) for column in values.T]
    return np.abs(np.stack(columns, axis=1) - expected[inside]).mean(axis=0)


def report(seconds: float) -> list[str]:
    """Returns the lines of the report on films of this length."""
    model = prediction_model.load(config.Networks(runtime=config.FLOAT32))
    with tempfile.TemporaryDirectory() as name:
        folder, times = pathlib.Path(name), film_times(seconds)
        films = {film: folder / f"film {k}.mkv" for k, film in enumerate(times)}
        for film, path in films.items():
            write_film(path, times[film])
        curves = {"predict": {film: predicted(model, path) for film, path in films.items()}}
        by_name = evaluated(model, list(films.values()), folder / "recordings")
    curves["evaluate"] = {film: by_name[path.stem] for film, path in films.items()}
    lines = ["| | frames/s | frames | valence, arousal: difference | range |", "|---" * 5 + "|"]
    for command, film_curves in curves.items():
        reference = film_curves[REFERENCE]
        for film, curve in film_curves.items():
            difference = ", ".join(f"{value:.4f}" for value in differences(curve, reference))
            spread = ", ".join(f"{value:.2f}" for value in np.ptp(curve[1], axis=0))
            lines.append(f"| {command} | {film} | {len(curve[0])} | {difference} | {spread} |")
    largest = [np.abs(curves["predict"][f][1] - curves["evaluate"][f][1]).max() for f in films]
    lines.append(f"\nLargest difference between predict and evaluate: {max(largest):.5f}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=34.0, help="length of the films")
    arguments = parser.parse_args()
    try:
        print("\n".join(report(arguments.seconds)))
    except errors.InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
