"""Evaluates valence, arousal and expressions on still pictures: rated ones, and smiles by group.

    tools/run tools/evaluate_rated_faces.py FOLDER
    tools/run tools/evaluate_rated_faces.py FOLDER --workdir=runs/recola
    tools/run tools/evaluate_rated_faces.py FOLDER --expressions=runs/ferplus-compact

Each folder in FOLDER holds either ratings.csv (columns picture, expression, valence, arousal; a
picture may have several rows) or people.csv (columns person, gender, ethnicity) and the pictures
PERSON_neutral.jpg and PERSON_smiling.jpg. The model sees each picture for 5 seconds, and the last
prediction is evaluated. The default is the package's own model. --expressions evaluates a CNN that
finetune trained: valence and arousal are the means of the expressions' coordinates on the
circumplex, weighted by their probabilities.
"""

import argparse
import csv
import pathlib
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.special

from ast_net import config, errors, files
from ast_net.cnn import backbone, expression_head, runtime
from ast_net.datasets import ferplus
from ast_net.faces import alignment, detection, pictures, tracking
from ast_net.prediction import prediction_model
from ast_net.reports import confusion, rated_faces, tables
from ast_net.temporal import still_faces
from ast_net.training import expressions

FRAME_RATE = 25
# Border around a picture, as a fraction of its sides. Rated faces may fill the picture, and the
# detector needs some space around them.
MARGIN = 0.5
BATCH = 32


class Model(NamedTuple):
    """The networks to evaluate.

    Attributes:
      extractor: aligned faces -> fc6.
      head: fc6 -> logits of its expressions.
      values: fc6 of frames one time step apart, [B, N, F] -> valence and arousal, [B, N, 2].
      step: the time step, in frames at FRAME_RATE.
    """

    extractor: runtime.Extractor
    head: expression_head.ExpressionHead
    values: Callable[[np.ndarray], np.ndarray]
    step: int


def load_model(workdir: str | None) -> Model:
    """Loads a run's networks, or those of the package."""
    networks = config.Networks(workdir=workdir, runtime=config.FLOAT32)
    loaded = prediction_model.load(networks, posteriors=True)
    assert loaded.head is not None
    spec = loaded.temporal.spec
    missing = set(config.TARGETS) - set(spec.targets)
    if missing:
        raise errors.InputError(f"{workdir}: does not predict {' and '.join(sorted(missing))}")
    columns = [spec.targets.index(target) for target in config.TARGETS]

    def values(features: np.ndarray) -> np.ndarray:
        return loaded.temporal.network.predict(features, BATCH, verbose=0)[..., columns]

    step = max(1, round(spec.time_step * FRAME_RATE))
    return Model(loaded.extractor, loaded.head, values, step)


def load_expressions(folder: pathlib.Path, name: str) -> Model:
    """Loads a CNN and its head from a finetune run; the circumplex replaces the temporal model."""
    weights = str(folder / expressions.BACKBONE_WEIGHTS)
    extractor = runtime.load(name, weights, config.FLOAT32, folder)
    path = expression_head.file_beside(weights)
    head = expression_head.load(backbone.FEATURE_SIZE[name], path)
    coordinates = np.array([ferplus.CIRCUMPLEX[expression] for expression in head.expressions])
    return Model(extractor, head, lambda features: posteriors(head, features) @ coordinates, 1)


def posteriors(head: expression_head.ExpressionHead, features: np.ndarray) -> np.ndarray:
    """Computes the probabilities of the head's expressions, [..., K], from fc6 [..., F]."""
    logits = head(features.reshape(-1, features.shape[-1]).astype(np.float32)).numpy()
    return scipy.special.softmax(logits, axis=-1).reshape(*features.shape[:-1], -1)


class Pictures:
    """Detects the faces in pictures and computes their fc6."""

    def __init__(self, extractor: runtime.Extractor) -> None:
        self._detector, self._extractor = detection.FaceDetector(), extractor

    def features(self, paths: list[pathlib.Path]) -> tuple[np.ndarray, np.ndarray]:
        """Computes fc6 of the most prominent face of each picture.

        Returns:
          Which pictures have a face, bool [n], and fc6 of these, [K, F].

        Raises:
          InputError: a picture cannot be read, or no picture has a face.
        """
        faces = [self._aligned(path) for path in paths]
        seen = [face for face in faces if face is not None]
        if not seen:
            raise errors.InputError(f"{paths[0].parent}: found no face in {len(paths)} pictures")
        parts = [self._extractor(np.stack(seen[k : k + BATCH])) for k in range(0, len(seen), BATCH)]
        return np.array([face is not None for face in faces]), np.concatenate(parts)

    def _aligned(self, path: pathlib.Path) -> np.ndarray | None:
        image = pictures.read(path)
        down, across = (round(MARGIN * side) for side in image.shape[:2])
        image = np.pad(image, ((down, down), (across, across), (0, 0)), mode="edge")
        found = self._detector.detect(image)
        if not found:
            return None
        face = max(found, key=lambda face: tracking.prominence(face, image.shape))
        return alignment.align_face(image, face.landmarks, config.Alignment())


def still(model: Model, features: np.ndarray) -> np.ndarray:
    """Predicts faces [n, F] as `still_faces.predict` does: valence and arousal [n, 2]."""
    steps = still_faces.steps(model.step / FRAME_RATE)
    return model.values(np.repeat(features[:, np.newaxis], steps, axis=1))[:, -1]


def evaluate_ratings(folder: pathlib.Path, model: Model) -> dict:
    """Compares predictions of rated pictures with the ratings, and prints the scores."""
    pictures: dict[str, list[dict[str, str]]] = {}
    for row in read_table(folder / "ratings.csv", {"picture", "expression", *config.TARGETS}):
        pictures.setdefault(row["picture"], []).append(row)
    with files.reading(folder / "ratings.csv", "ratings"):
        ratings = np.array(
            [
                [np.mean([float(row[target]) for row in rows]) for target in config.TARGETS]
                for rows in pictures.values()
            ]
        )
    seen, features = Pictures(model.extractor).features([folder / name for name in pictures])
    names = [rows[0]["expression"] for rows in pictures.values()]
    names = [name for name, has_face in zip(names, seen, strict=True) if has_face]
    predicted, ratings = still(model, features), ratings[seen]
    scores = {
        target: rated_faces.rating_scores(ratings[:, column], predicted[:, column], names)
        for column, target in enumerate(config.TARGETS)
    }
    classes = tuple(sorted(set(names)))
    columns = [model.head.expressions.index(name) for name in classes]
    guessed = posteriors(model.head, features)[:, columns].argmax(axis=1)
    table = confusion.tabulate(np.array([classes.index(name) for name in names]), guessed, classes)
    print(f"{folder.name}: a face in {seen.sum()} of {len(seen)} pictures")
    print(tables.text([{"target": target, **row} for target, row in scores.items()], digits=3))
    print(f"expressions\n{confusion.format_table(table)}")
    print("rows: true, columns: predicted")
    counts = zip(classes, table["confusion"], strict=True)
    print(tables.text([{"": name, **dict(zip(classes, row))} for name, row in counts]), "\n")
    return {"pictures": len(seen), "faces": int(seen.sum()), **scores, "expressions": table}


def evaluate_smiles(folder: pathlib.Path, model: Model) -> dict:
    """Compares people's smiling and neutral pictures, and prints the scores."""
    people = read_table(folder / "people.csv", {"person", "gender", "ethnicity"})
    kinds = ("neutral", "smiling")
    paths = [folder / f"{row['person']}_{kind}.jpg" for kind in kinds for row in people]
    seen, found = Pictures(model.extractor).features(paths)
    features = np.zeros((len(paths), found.shape[1]), found.dtype)
    features[seen] = found
    both = np.logical_and(*np.split(seen, 2))
    pairs = features.reshape(2, len(people), -1)[:, both]
    neutral, smiling = (still(model, part) for part in pairs)
    people = [row for row, has_both in zip(people, both, strict=True) if has_both]
    groups = [(row["gender"], row["ethnicity"]) for row in people]
    rows = rated_faces.smile_scores(groups, neutral[:, 0], smiling[:, 0])
    resting = dict(zip(config.TARGETS, neutral.mean(axis=0).tolist(), strict=True))
    response = smile_response(model, pairs)
    print(f"{folder.name}: a face in {seen.sum()} of {len(seen)} pictures")
    print(tables.text(rows, digits=3))
    print(f"neutral faces: valence {resting['valence']:.3f}, arousal {resting['arousal']:.3f}")
    waited = "never" if response is None else f"after {response:.2f} s"
    print(f"80 % of a smile's valence, smoothed: {waited}")
    return {
        "pictures": len(seen),
        "faces": int(seen.sum()),
        "smiles": rows,
        "neutral": resting,
        "response_seconds": response,
    }


def smile_response(model: Model, pairs: np.ndarray) -> float | None:
    """Cuts from neutral to smiling faces, [2, n, F]; returns the seconds until valence follows."""
    frames = round(still_faces.SECONDS * FRAME_RATE)
    recordings = np.repeat(np.moveaxis(pairs, 0, 1), frames, axis=1)
    valence = np.zeros(2 * frames)
    for phase in range(model.step):
        values = model.values(recordings[:, phase :: model.step])
        valence[phase :: model.step] = values[..., 0].mean(axis=0)
    times = np.arange(2 * frames) / FRAME_RATE
    smooth = rated_faces.smoothed(valence, model.step)
    return rated_faces.response_seconds(times, smooth, still_faces.SECONDS)


def read_table(path: pathlib.Path, columns: set[str]) -> list[dict[str, str]]:
    """Reads a CSV file that has at least these columns, and at least one row."""
    with files.reading(path, "a table"), path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = columns - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"missing columns: {', '.join(sorted(missing))}")
        rows = list(reader)
        if not rows or any(None in row.values() for row in rows):
            raise ValueError("no rows, or a row is too short")
    return rows


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path, help="folder that holds the folders")
    parser.add_argument("--workdir", help="workdir of a train run")
    parser.add_argument("--expressions", type=pathlib.Path, help="workdir of a finetune run")
    parser.add_argument("--backbone", default="compact", help="CNN of --expressions")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write the scores to")
    given = parser.parse_args(arguments)
    try:
        if given.expressions is None:
            model = load_model(given.workdir)
        else:
            model = load_expressions(given.expressions, given.backbone)
        scores = {}
        for file, evaluate in (("ratings.csv", evaluate_ratings), ("people.csv", evaluate_smiles)):
            for path in sorted(given.folder.glob(f"*/{file}")):
                scores[path.parent.name] = evaluate(path.parent, model)
        if not scores:
            raise errors.InputError(
                f"{given.folder}: found no folder with ratings.csv or people.csv: give the folder "
                "that holds such folders"
            )
        if given.output is not None:
            tables.write_json(given.output, scores)
    except errors.InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
