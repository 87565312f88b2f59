"""Compares the predictions of one film at several frame rates; prints a Markdown table.

    tools/run tools/compare_frame_rates.py [--seconds=34]

The demo's synthesis draws the same motion at 15, 30 and 60 frames a second, and at a rate that rises
from 15 to 30 in the middle. Each film is predicted, and prepared and evaluated as a recording of one's
own, by the model that comes with the package. It takes a minute or two for each ten seconds.

Required: a mean absolute difference of at most 0.03 to the film of 30 frames a second, at its times.
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
    """The frames' times of each film, by its name."""
    times = {str(rate): np.arange(round(seconds * rate)) / rate for rate in (15, 30, 60)}
    slow, fast = times["15"], times["30"]
    rising = np.concatenate([slow[slow < seconds / 2], fast[fast >= seconds / 2]])
    return {**times, "15, then 30": rising}


def write_film(path: pathlib.Path, times: np.ndarray, hidden: tuple[float, float] = (0, 0)) -> None:
    """Films one person at some times; there is no one from one time until another, in seconds."""
    curves = synthesis.latent("P1", times, synthesis.DemoSettings(seconds=60.0))
    images = synthetic_face.record(np.random.default_rng(3), times, curves)
    with video_writer.open_writer(path) as writer:
        for time, image in zip(times.tolist(), images, strict=True):
            shown = not hidden[0] <= time < hidden[1]
            writer.write(image if shown else np.full_like(image, 90), time)


def predicted(model: prediction_model.PredictionModel, path: pathlib.Path) -> Curve:
    """What predict says of a film, where it sees the face."""
    predictions = pipeline.Pipeline(model, config.Prediction()).predict(video.Video(path).frames())
    seen = [frame for frame in predictions if any(face.valid for face in frame.faces)]
    times = np.array([frame.timestamp for frame in seen])
    return times, np.stack([frame.faces[0].values for frame in seen])


def evaluated(
    model: prediction_model.PredictionModel, films: Sequence[pathlib.Path], folder: pathlib.Path
) -> dict[str, Curve]:
    """What evaluate says of films, by their names, where it sees the face; the folder is new."""
    folder.mkdir()
    listed = ["recording,video,split,ratings"]
    for k, film in enumerate(films):
        listed.append(f"{film.stem},{film.resolve()},{'dev' if k else 'train'},{film.stem}.csv")
        rows = ["time,valence,arousal"]
        rated = np.arange(0, video.Video(film).duration or 0, 0.1)
        rows += [f"{time:.1f},{np.sin(time + k):.3f},0.1" for time in rated]
        (folder / f"{film.stem}.csv").write_text("\n".join(rows))
    (folder / "recordings.csv").write_text("\n".join(listed))
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
    """Mean absolute differences of valence and arousal at the reference's times within the curve's, [2]."""
    (times, values), (at, expected) = curve, reference
    inside = (at >= times[0]) & (at <= times[-1])
    between = np.stack([np.interp(at[inside], times, column) for column in values.T], axis=1)
    return np.abs(between - expected[inside]).mean(axis=0)


def report(seconds: float) -> list[str]:
    weights = config.Networks(runtime=config.FLOAT32)
    model = prediction_model.load(weights)
    with tempfile.TemporaryDirectory() as name:
        folder, times = pathlib.Path(name), film_times(seconds)
        films = {film: folder / f"film {k}.mkv" for k, film in enumerate(times)}
        for film, path in films.items():
            write_film(path, times[film])
        curves = {"predict": {film: predicted(model, path) for film, path in films.items()}}
        found = evaluated(model, list(films.values()), folder / "recordings")
    curves["evaluate"] = {film: found[path.stem] for film, path in films.items()}
    lines = ["| | frames/s | frames | valence, arousal: difference | range |", "|---" * 5 + "|"]
    for verb, of_films in curves.items():
        reference = of_films[REFERENCE]
        for film, curve in of_films.items():
            apart = ", ".join(f"{value:.4f}" for value in differences(curve, reference))
            spread = ", ".join(f"{value:.2f}" for value in np.ptp(curve[1], axis=0))
            lines.append(f"| {verb} | {film} | {len(curve[0])} | {apart} | {spread} |")
    both = [np.abs(curves["predict"][f][1] - curves["evaluate"][f][1]).max() for f in films]
    lines.append(f"\nLargest difference between predict and evaluate: {max(both):.5f}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=34.0)
    arguments = parser.parse_args()
    try:
        print("\n".join(report(arguments.seconds)))
    except errors.InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
