"""Draws what the package's own models see in a video: faces, expressions, valence and arousal over time.

tools/run tools/plot_expressions.py VIDEO --output=FIGURE.png
"""

import argparse
import pathlib
import sys

import matplotlib.figure
import numpy as np

from ast_net import config, errors, files
from ast_net.cnn import expression, runtime
from ast_net.faces import alignment, tracking
from ast_net.temporal import stacked_lstm, streaming

SHOWN_FACES = 8
# Of the data that the shipped temporal model was trained on, frames a second.
TRAINED_RATE = 25.0


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Everything to be drawn, an array over the T frames of the video for each."""
    track = tracking.track_video(path, config.Tracking())
    frames = list(alignment.aligned_faces(path, track, config.Alignment()))
    cnn = runtime.load("compact", None, config.FLOAT32, "data")
    features = np.stack(list(runtime.extract(cnn, ((f.image, f.valid) for f in frames))))
    logits = expression.load_head()(features.astype(np.float32)).numpy()
    posteriors = np.exp(logits - logits.max(axis=1, keepdims=True))
    stride = max(1, round(config.Clip().stride * _rate(track.timestamps) / TRAINED_RATE))
    predictor = streaming.StreamingPredictor(stacked_lstm.load(), stride)
    return {
        "times": track.timestamps,
        "valid": track.valid,
        "faces": np.stack([frame.image for frame in frames]),
        "posteriors": posteriors / posteriors.sum(axis=1, keepdims=True),
        "predictions": predictor.predict(features),
    }


def _rate(times: np.ndarray) -> float:
    return 1 / float(np.median(np.diff(times))) if len(times) > 1 else TRAINED_RATE


def draw(
    name: str, seen: dict[str, np.ndarray], with_faces: bool = True
) -> matplotlib.figure.Figure:
    """Faces above, posteriors in the middle, valence and arousal below; gaps where there is no face."""
    figure = matplotlib.figure.Figure(figsize=(12, 9 if with_faces else 7), layout="constrained")
    figure.suptitle(name)
    heights = (1.0 if with_faces else 1e-3, 1.6, 1.4)
    grid = figure.add_gridspec(3, SHOWN_FACES, height_ratios=heights)
    times, valid = seen["times"], seen["valid"]
    shown = np.linspace(0, len(times) - 1, SHOWN_FACES).round().astype(int)
    for column, row in enumerate(shown if with_faces else []):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(seen["faces"][row])
        axes.set_title(f"{times[row]:.2f} s" + ("" if valid[row] else ", no face"), fontsize=9)
        axes.set_axis_off()
    for row, names, values, limits in (
        (1, expression.EXPRESSIONS, seen["posteriors"], (0, 1)),
        (2, config.TARGETS, seen["predictions"], (-1, 1)),
    ):
        axes = figure.add_subplot(grid[row, :])
        for label, series in zip(names, values.T, strict=True):
            axes.plot(times, np.where(valid, series, np.nan), label=label)
        axes.set(xlim=(times[0], times[-1]), ylim=limits, xlabel="time (s)")
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument(
        "--without_faces", action="store_true", help="show nobody: figures are passed on"
    )
    arguments = parser.parse_args()
    try:
        seen = read(arguments.video)
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    figure = draw(arguments.video.name, seen, not arguments.without_faces)
    with files.whole(arguments.output) as temporary:
        figure.savefig(temporary, dpi=80)
    for name, series in zip(expression.EXPRESSIONS, seen["posteriors"].T, strict=True):
        print(f"{name}: mean {series[seen['valid']].mean():.2f}")


if __name__ == "__main__":
    main()
