"""Reading of FER+'s votes, and the probabilities and labels computed from them."""

import numpy as np
import pytest

from ast_net import errors
from ast_net.datasets import fer2013, ferplus

HEADER = (
    "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
)
ROWS = [
    "Training,fer0000000.png,4,0,0,1,3,2,0,0,0,0",
    "Training,fer0000001.png,6,0,1,1,0,0,0,0,2,0",
    "PublicTest,,0,0,0,0,0,0,0,0,0,10",
    "PrivateTest,fer0000003.png,0,0,0,0,0,0,0,6,4,0",
]
PIXELS = " ".join(["7"] * 48 * 48)
PICTURES = [
    f"0,{PIXELS},{usage}" for usage in ("Training", "Training", "PublicTest", "PrivateTest")
]


def write(path, header, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def votes(**counts):
    """A row of votes; the names are those of EXPRESSIONS, `unknown` and `no_face`."""
    return [counts.get(name, 0) for name in (*ferplus.EXPRESSIONS, "unknown", "no_face")]


def test_fer2013s_expressions_come_first():
    assert ferplus.EXPRESSIONS[:7] == fer2013.EXPRESSIONS
    assert ferplus.EXPRESSIONS[7:] == ("contempt",)


def test_reads_votes_by_the_names_of_the_columns(tmp_path):
    table, splits = ferplus.read_votes(write(tmp_path / ferplus.FILE, HEADER, ROWS))
    expected = [
        votes(neutral=4, sad=1, angry=3, disgust=2),
        votes(neutral=6, surprise=1, sad=1, unknown=2),
        votes(no_face=10),
        votes(contempt=6, unknown=4),
    ]
    np.testing.assert_array_equal(table, expected)
    assert table.dtype == np.uint8
    assert splits.tolist() == ["train", "train", "public_test", "private_test"]


@pytest.mark.parametrize("place", ["release", "release/ferplus", "ferplus"])
def test_reads_pictures_with_votes_from_each_place(place, tmp_path):
    write(tmp_path / "release" / "fer2013.csv", fer2013.HEADER, PICTURES)
    write(tmp_path / place / ferplus.FILE, HEADER, ROWS)
    read = ferplus.read(tmp_path / "release")
    assert {split: (x.shape, y.shape) for split, (x, y) in read.items()} == {
        "train": ((2, 48, 48, 1), (2, 10)),
        "public_test": ((1, 48, 48, 1), (1, 10)),
        "private_test": ((1, 48, 48, 1), (1, 10)),
    }


def test_an_error_says_where_to_get_the_missing_votes(tmp_path):
    write(tmp_path / "release" / "fer2013.csv", fer2013.HEADER, PICTURES)
    with pytest.raises(errors.InputError, match="no fer2013new.csv.*download it"):
        ferplus.read(tmp_path / "release")


@pytest.mark.parametrize(
    ("change", "row"),
    [
        (lambda rows: rows[:-1], 4),
        (lambda rows: [*rows[1:], rows[1]], 2),
        (lambda rows: [*rows, rows[0]], 5),
    ],
)
def test_refuses_votes_on_other_pictures(change, row, tmp_path):
    write(tmp_path / "fer2013.csv", fer2013.HEADER, PICTURES)
    write(tmp_path / ferplus.FILE, HEADER, change(ROWS))
    with pytest.raises(
        errors.InputError, match=f"Usage of row {row} differs: expected a row for each"
    ):
        ferplus.read(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Validation,a.png,10,0,0,0,0,0,0,0,0,0", "found Usage 'Validation'"),
        ("Training,a.png,10,0,0,0,0,0,0,0,0", "expected counts with a sum of at most 10"),
        ("Training,a.png,-1,0,0,0,0,0,0,0,0,0", "found the votes .*-1"),
        ("Training,a.png,6,6,0,0,0,0,0,0,0,0", "expected counts with a sum of at most 10"),
    ],
)
def test_an_error_names_the_line_of_a_malformed_row(row, message, tmp_path):
    path = write(tmp_path / ferplus.FILE, HEADER, [*ROWS[:2], row])
    with pytest.raises(errors.InputError, match=f"1 rows are malformed:\n  line 4: .*{message}"):
        ferplus.read_votes(path)


def test_refuses_other_columns(tmp_path):
    path = write(tmp_path / ferplus.FILE, HEADER.replace("contempt", "scorn"), ROWS)
    with pytest.raises(errors.InputError, match="missing columns: contempt"):
        ferplus.read_votes(path)


def test_distributions_by_hand():
    table = np.array(
        [
            votes(neutral=4, sad=1, angry=3, disgust=2),  # The single vote does not count.
            votes(neutral=5, unknown=4, happy=1),  # Nor does "unknown".
            votes(neutral=5, unknown=5),  # No majority for "unknown".
            votes(neutral=4, unknown=6),
            votes(neutral=4, unknown=3, no_face=3),
            votes(no_face=10),
            votes(**dict.fromkeys(ferplus.EXPRESSIONS, 1), unknown=1, no_face=1),
        ],
        np.uint8,
    )
    kept, shares = ferplus.distributions(table)
    np.testing.assert_array_equal(kept, [True, True, True, False, False, False, False])
    # angry, disgust, fear, happy, sad, surprise, neutral, contempt
    expected = [
        [3 / 9, 2 / 9, 0, 0, 0, 0, 4 / 9, 0],
        [0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1, 0],
    ]
    np.testing.assert_allclose(shares, expected, rtol=1e-6)
    assert shares.dtype == np.float32


def test_majorities_by_hand():
    table = np.array(
        [
            votes(contempt=6, unknown=4),
            votes(happy=5, sad=5),  # Exactly half is no majority.
            votes(happy=5, sad=4, fear=1),  # Five of the nine that are not single.
            votes(happy=5, unknown=5),
            votes(unknown=9, happy=1),
            votes(no_face=10),
            votes(**dict.fromkeys(ferplus.EXPRESSIONS, 1), unknown=1, no_face=1),
        ],
        np.uint8,
    )
    counted, labels = ferplus.majorities(table)
    np.testing.assert_array_equal(counted, [True, False, True, False, False, False, False])
    assert [ferplus.EXPRESSIONS[label] for label in labels] == ["contempt", "happy"]


def test_places_are_means_of_the_expressions_places():
    points = dict(zip(ferplus.EXPRESSIONS, ferplus.places(np.eye(8)).tolist(), strict=True))
    assert points["neutral"] == [0, 0]
    assert {name for name, (valence, _) in points.items() if valence > 0} == {"happy", "surprise"}
    assert {name for name, (_, arousal) in points.items() if arousal < 0} == {"sad"}
    _, probabilities = ferplus.distributions(np.array([votes(happy=6, neutral=3, sad=1)]))
    # The single vote does not count; the others give two thirds of happiness: 0.81 and 0.51.
    np.testing.assert_allclose(ferplus.places(probabilities), [[0.54, 0.34]], atol=1e-6)
