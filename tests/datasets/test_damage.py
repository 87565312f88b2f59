"""Damaged rating files and lists give an error that names the file, or the right numbers.

Each case writes a folder in one of LAYOUTS, damages one of its text files at random (by a seed),
and reads everything that `prepare` reads before the first video.
"""

import json
import pathlib
import random

import layouts
import numpy as np
import pytest

from ast_net import errors
from ast_net.records import catalogue, store


def avec2012(folder, video):
    sessions = ("train001", "devel001")
    layouts.avec2012(folder, video, sessions=sessions, targets=layouts.TARGETS)


def semaine(folder, video):
    layouts.semaine(folder, video, users={"1": "3", "13": "7"})


def afew_va(folder, _):
    layouts.afew_va(folder, [np.zeros((2, 2, 3), np.uint8)] * 12, ("001", "003"), ("A", "B"))
    for path in folder.rglob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()), indent=1))


# For each layout: its writer, data set, recordings in train and in dev, and the files to damage.
LAYOUTS = [
    (layouts.recola_own, "recola", ("P16",), ("P19",), "RECOLA-Annotation/*/*/*.csv"),
    (layouts.recola_centred, "recola", ("P16",), ("P19",), "Ratings*/*/*.csv"),
    (
        layouts.recola_avec_2016,
        "recola",
        ("train_1",),
        ("dev_1",),
        "ratings_gold_standard/*/*.arff",
    ),
    (layouts.recola_avec_2018, "recola", ("train_2",), ("dev_2",), "labels/gs_1/*/*.arff"),
    (layouts.recordings, "recordings", (), (), "**/*.csv"),
    (avec2012, "avec2012", ("train001",), ("devel001",), "emotion labels/**/*.dat"),
    (semaine, "semaine", ("1",), ("13",), "Sessions/*/*.[tx]*"),
    (afew_va, "afew_va", ("001",), ("003",), "*/*.json"),
]
CASES = 200
GARBAGE = [
    "NaN",
    "",
    "inf",
    "-inf",
    "1e308",
    "1e999",
    "-7",
    "0x1F",
    "١٢",
    "1_0",
    "#REF!",
    "\0",
    '"',
    "?",
]


def damage(rng: random.Random, path: pathlib.Path) -> str:
    """Damages a file, and returns the kind of damage."""
    content = path.read_bytes()
    lines = content.split(b"\n")
    delimiter = b";" if b";" in content else b","
    row, other = rng.sample(range(len(lines) - 1), 2)
    cells = lines[row].split(delimiter)
    kind = rng.choice(list(DAMAGES))
    path.write_bytes(DAMAGES[kind](rng, content, lines, row, other, cells, delimiter))
    if kind == "deleted":
        path.unlink()
    return kind


def undetectable_rows(kind: str, write) -> int:
    """Returns how many wrong rows of the gold standard cannot be detected after such damage."""
    if write is avec2012 and kind == "swap lines":
        return 2  # the lines have no times
    if write is semaine and kind in ("truncate", "delete line"):
        return len(layouts.TIMES)  # a rater may stop early, and then has a different mean
    # A number with a changed or a missing digit is still a number.
    return {"flip": 3, "truncate": 1, "swap cells": 1, "garbage": 1}.get(kind, 0)


def replace(lines, row, new):
    return b"\n".join([*lines[:row], *new, *lines[row + 1 :]])


def flip(rng, content, *_):
    flipped = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def swap_cells(rng, content, lines, row, other, cells, delimiter):
    # Swapped names in the header give a valid file, so the header is left alone.
    row, cells = (row, cells) if row else (1, lines[1].split(delimiter))
    a, b = rng.choice(range(len(cells))), rng.choice(range(len(cells)))
    cells[a], cells[b] = cells[b], cells[a]
    return replace(lines, row, [delimiter.join(cells)])


def swap_lines(rng, content, lines, row, other, *_):
    lines = list(lines)
    lines[row], lines[other] = lines[other], lines[row]
    return b"\n".join(lines)


def garbage(rng, content, lines, row, other, cells, delimiter):
    cells[rng.randrange(len(cells))] = rng.choice(GARBAGE).encode()
    return replace(lines, row, [delimiter.join(cells)])


DAMAGES = {
    "truncate": lambda rng, content, *_: content[: rng.randrange(len(content))],
    "flip": flip,
    "swap cells": swap_cells,
    "swap lines": swap_lines,
    "garbage": garbage,
    "delete line": lambda rng, content, lines, row, *_: replace(lines, row, []),
    "duplicate line": lambda rng, content, lines, row, *_: replace(lines, row, [lines[row]] * 2),
    "delete cell": lambda rng, content, lines, row, other, cells, d: replace(
        lines, row, [d.join(cells[1:])]
    ),
    "duplicate cell": lambda rng, content, lines, row, other, cells, d: replace(
        lines, row, [d.join([*cells, cells[-1]])]
    ),
    "delimiter": lambda rng, content, lines, row, other, cells, d: content.replace(
        d, rng.choice([b";", b",", b"\t", b" ", b"|", d + d])
    ),
    "one delimiter": lambda rng, content, lines, row, other, cells, d: replace(
        lines, row, [rng.choice([b";", b",", b"\t", b" "]).join(cells)]
    ),
    "decimal comma": lambda rng, content, *_: content.replace(b".", b","),
    "line ends": lambda rng, content, *_: content.replace(
        b"\n", rng.choice([b"\r", b"\r\n", b"\n\n"])
    ),
    "byte order mark": lambda rng, content, *_: b"\xef\xbb\xbf" + content,
    "empty": lambda *_: b"",
    "binary": lambda rng, content, *_: rng.randbytes(len(content)),
    "deleted": lambda rng, content, *_: content,
}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A video with as many frames as AVEC2012's files have labels in `layouts`."""
    images = [np.zeros((32, 32, 3), np.uint8)] * 24
    return layouts.write_avi(tmp_path_factory.mktemp("video") / "black.avi", images, 49.979)


@pytest.fixture(scope="module")
def undamaged(video, tmp_path_factory):
    """The gold standards of each layout without damage."""
    result = []
    for layout in LAYOUTS:
        folder = tmp_path_factory.mktemp("undamaged")
        layout[0](folder, video)
        result.append(read_all(layout, folder))
    return result


def read_all(layout, folder) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Reads the gold standard of every recording, as `prepare` does before the first video."""
    _, dataset, train, dev, _ = layout
    partitions = {"train": train, "dev": dev} if train else {}
    settings = layouts.preparation(dataset, partitions, manual_dir=str(folder))
    reader = catalogue.data_set(settings).reader(settings)
    sources = [source for part in reader.sources(reader.folder()).values() for source in part]
    # Damage to the name of a listed recording cannot be detected: use the file's name instead.
    listed = dataset == "recordings"
    return {(s.ratings[0].stem if listed else s.name): s.read_gold() for s in sources}


@pytest.mark.parametrize("part", range(8))
def test_damage_gives_an_error_or_the_right_numbers(part, undamaged, video, tmp_path):
    read = 0
    for seed in range(part, CASES, 8):
        # Every part goes through all layouts.
        k = (seed // 8 + part) % len(LAYOUTS)
        write, *_, files = LAYOUTS[k]
        folder = tmp_path / str(seed)
        write(folder, video)
        rng = random.Random(seed)
        path = rng.choice(sorted(folder.glob(files)))
        kind = damage(rng, path)
        try:
            gold = read_all(LAYOUTS[k], folder)
        except errors.InputError as error:
            assert str(folder) in str(error), (seed, kind)
            continue
        read += 1
        assert set(gold) == set(undamaged[k])
        for name, series in gold.items():
            wrong_rows, case = undetectable_rows(kind, write), f"seed {seed}, {kind} of {path}"
            check(series, undamaged[k][name], wrong_rows, case)
    assert 0 < read < CASES / 8, "some damage is harmless, and some is an error"


def check(series, expected, wrong_rows: int, case: str) -> None:
    """Compares times and gold standard with those without damage; some rows may be wrong."""
    times, values = series
    assert (np.diff(times) > 0).all(), case
    assert not (np.abs(values) > 1).any(), case
    right = [np.interp(times, expected[0], column) for column in expected[1].T]
    difference = np.nan_to_num(np.abs(values - np.stack(right, axis=1))).max(axis=1)
    # A missing or wrong rating changes its rater's mean, and so all other rows a little.
    assert (difference > (0.02 if wrong_rows else 1e-9)).sum() <= wrong_rows, case


def test_without_damage_all_is_read(undamaged):
    for gold in undamaged[:5]:  # the test files of the other data sets check this
        assert len(gold) == 2
        for name, (times, values) in gold.items():
            np.testing.assert_array_equal(times, layouts.TIMES)
            expected = [layouts.gold_standard(name, target) for target in layouts.TARGETS]
            np.testing.assert_allclose(values, np.stack(expected, axis=1), rtol=0, atol=1e-9)


def test_a_failed_preparation_is_not_taken_for_a_complete_one(face_video, tmp_path):
    folder, data_dir = tmp_path / "source", tmp_path / "data"
    layouts.recordings(folder, face_video)
    # The first recording can be prepared; the second one's damage shows only when it is read.
    (folder / "videos/ben.mp4").write_bytes(b"\0" * 999)
    settings = layouts.preparation("recordings", data_dir=str(data_dir), manual_dir=str(folder))
    for _ in range(2):
        with pytest.raises(errors.InputError, match=r"ben\.mp4"):
            store.prepare(settings)
        assert not list(data_dir.rglob("dataset_info.json"))
    (folder / "videos/ben.mp4").write_bytes(face_video.read_bytes() + b"\0")
    records = store.prepare(settings)
    (example,) = records.segments("dev").as_numpy_iterator()
    expected = [layouts.gold_standard("ben", target)[:20] for target in layouts.TARGETS]
    np.testing.assert_allclose(example["labels"], np.stack(expected, axis=1), atol=1e-6)
