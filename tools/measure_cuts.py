"""Measures how many cuts from one person to another are noticed, on pictures of people.

    tools/run tools/measure_cuts.py FOLDER

FOLDER holds PERSON_neutral.jpg and PERSON_smiling.jpg, as in evaluate_rated_faces.py. The first
table compares all pairs of pictures. The second one tracks films of two pictures, of two seconds
each: of two people, with a cut and with a dissolve of a second between them, and of a neutral and a
smiling face of one person. This takes some minutes on two cores.
"""

import argparse
import itertools
import pathlib
import sys

import cv2
import numpy as np
import tqdm

from ast_net import config, errors
from ast_net.faces import appearances, detection, pictures, tracking
from ast_net.reports import tables

FRAME_RATE = 25
SHOWN = 2 * FRAME_RATE


def read(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads the pictures, uint8 RGB [H, W, 3], by their names without suffix."""
    paths = sorted([*folder.glob("*_neutral.jpg"), *folder.glob("*_smiling.jpg")])
    if not paths:
        raise errors.InputError(f"{folder}: found no PERSON_neutral.jpg or PERSON_smiling.jpg")
    return {path.stem: pictures.read(path) for path in paths}


def person(name: str) -> str:
    return name.rsplit("_", 1)[0]


def compared(images: dict[str, np.ndarray], detector: detection.FaceDetector) -> list[tables.Row]:
    """Compares the faces of all pictures, one frame and one second apart."""
    measured = {}
    for name, image in images.items():
        faces = detector.detect(image)
        if faces:
            measured[name] = appearances.measure(image, faces[0], 0.0)
    rows: list[tables.Row] = []
    for seconds, same in itertools.product((1 / FRAME_RATE, 1.0), (False, True)):
        pairs = [
            (before, now._replace(timestamp=seconds))
            for (a, before), (b, now) in itertools.permutations(measured.items(), 2)
            if (person(a) == person(b)) == same
        ]
        differ = sum(appearances.is_another_person([before], now) for before, now in pairs)
        row: tables.Row = {"seconds apart": seconds, "person": "same" if same else "other"}
        rows.append(row | {"pairs": len(pairs), "another person": differ})
    return rows


def film(before: np.ndarray, after: np.ndarray, dissolve: int) -> list[np.ndarray]:
    """Shows two pictures for two seconds each; in between, `dissolve` frames mix them."""
    weights = np.linspace(0, 1, dissolve + 2)[1:-1]
    mixed = [cv2.addWeighted(before, 1 - w, after, w, 0) for w in weights]
    return [before] * SHOWN + mixed + [after] * SHOWN


def change(images: list[np.ndarray], detector: detection.FaceDetector) -> int | None:
    """Returns the first frame with a second face_id; None if there is none."""
    tracker = tracking.FaceTracker(detector, config.Tracking())
    for index, image in enumerate(images):
        if any(face.face_id for face in tracker.update(image, index / FRAME_RATE)):
            return index
    return None


def tracked(
    images: dict[str, np.ndarray], detector: detection.FaceDetector, films: int
) -> list[tables.Row]:
    """Tracks films of pairs that are drawn at random, and of each person's two pictures."""
    everyone = list(itertools.permutations(images, 2))
    others = [pair for pair in everyone if person(pair[0]) != person(pair[1])]
    drawn = np.random.default_rng(0).choice(len(others), films, replace=False)
    others = [others[k] for k in drawn]
    selves = [pair for pair in everyone if person(pair[0]) == person(pair[1])][::2][:films]
    rows: list[tables.Row] = []
    for name, pairs, dissolve in (
        ("cut to another person", others, 0),
        ("dissolve to another person", others, FRAME_RATE),
        ("cut to the same person", selves, 0),
        ("dissolve to the same person", selves, FRAME_RATE),
    ):
        changes = [
            change(film(images[a], images[b], dissolve), detector)
            for a, b in tqdm.tqdm(pairs, name, leave=False)
        ]
        delays = [index - SHOWN - dissolve for index in changes if index is not None]
        row: tables.Row = {"film": name, "films": len(pairs), "new face_id": len(delays)}
        late = (min(delays), float(np.median(delays)), max(delays)) if delays else (None,) * 3
        names = ("first frame after", "median", "last")
        rows.append(row | dict(zip(names, late, strict=True)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--films", type=int, default=30, help="number of films of each kind")
    given = parser.parse_args()
    try:
        images, detector = read(given.folder), detection.FaceDetector()
        print(tables.text(compared(images, detector), digits=2))
        print(tables.text(tracked(images, detector, given.films), digits=1))
    except errors.InputError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
