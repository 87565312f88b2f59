import gzip
import logging

import cv2
import numpy as np
import pytest

from ast_net import errors
from ast_net.datasets import fer2013
from ast_net.records import expression_pictures

USAGES = ["Training"] * 6 + ["PublicTest"] * 3 + ["PrivateTest"] * 2
CODES = [0, 1, 2, 3, 4, 5, 6, 0, 3, 6, 6]


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (len(CODES), 48, 48), np.uint8)


@pytest.fixture
def lines(images):
    rows = [
        f"{code},{' '.join(map(str, image.ravel()))},{usage}"
        for code, image, usage in zip(CODES, images, USAGES, strict=True)
    ]
    return ["emotion,pixels,Usage", *rows]


def write(path, lines, compressed=False):
    content = ("\n".join(lines) + "\n").encode()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content) if compressed else content)
    return path


@pytest.mark.parametrize("name", fer2013.CSV_NAMES)
@pytest.mark.parametrize("compressed", [False, True])
def test_reads_the_csv_whatever_its_name(name, compressed, lines, images, tmp_path):
    # A browser may have unpacked it, or a mirror packed it, without changing its name.
    splits = fer2013.read_csv(write(tmp_path / name, lines, compressed))
    assert list(splits) == ["train", "public_test", "private_test"]
    for split, rows in (
        ("train", slice(6)),
        ("public_test", slice(6, 9)),
        ("private_test", slice(9, 11)),
    ):
        np.testing.assert_array_equal(splits[split][0][..., 0], images[rows])
        np.testing.assert_array_equal(splits[split][1], CODES[rows])


def test_prepares_once_and_reads_again(lines, images, tmp_path):
    write(tmp_path / "source" / "fer2013.csv", lines)
    first = expression_pictures.load("fer2013", str(tmp_path / "data"), str(tmp_path / "source"))
    again = expression_pictures.load("fer2013", str(tmp_path / "data"), None)
    for split, number in (("train", 6), ("public_test", 3), ("private_test", 2)):
        assert first[split][0].shape == (number, 48, 48, 1)
        assert first[split][0].dtype == np.uint8
        np.testing.assert_array_equal(again[split][0], first[split][0])
        np.testing.assert_array_equal(again[split][1], first[split][1])
    # TFDS shuffles what it writes; labels must stay with their pictures.
    found = {image.tobytes(): label for image, label in zip(*first["train"], strict=True)}
    expected = {image.tobytes(): code for image, code in zip(images[:6], CODES[:6], strict=True)}
    assert found == expected


def test_refuses_another_source_than_was_prepared(lines, tmp_path):
    write(tmp_path / "source" / "fer2013.csv", lines)
    expression_pictures.load("fer2013", str(tmp_path / "data"), str(tmp_path / "source"))
    write(tmp_path / "source" / "fer2013.csv", lines[:-1])
    with pytest.raises(errors.InputError, match="prepared from other files"):
        expression_pictures.load("fer2013", str(tmp_path / "data"), str(tmp_path / "source"))


def test_says_where_to_get_it(tmp_path):
    with pytest.raises(errors.InputError, match="not given: give `manual_dir=FOLDER`"):
        expression_pictures.load("fer2013", str(tmp_path), None)
    with pytest.raises(errors.InputError, match="missing: .*nowhere"):
        expression_pictures.load("fer2013", str(tmp_path), str(tmp_path / "nowhere"))
    with pytest.raises(errors.InputError, match="found neither fer2013.csv nor fer2013.csv.gz"):
        expression_pictures.load("fer2013", str(tmp_path / "data"), str(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.replace(",", ";"), "found 1 columns, expected 3"),
        (lambda row: "7" + row[1:], "found emotion '7', expected 0 to 6"),
        (lambda row: "-1" + row[1:], "found emotion '-1'"),
        (lambda row: row.replace("Training", "Validation"), "found Usage 'Validation'"),
        (lambda row: row.replace(" ", " x ", 1), "the pixels are not whole numbers"),
        (lambda row: row.replace(" ", " 1.5 ", 1), "the pixels are not whole numbers"),
        (lambda row: row.replace(" ", " 3 ", 1), "found 2305 pixels, expected 2304"),
        (lambda row: "0,,Training", "found 0 pixels, expected 2304"),
        (lambda row: row.replace(row.split()[1], "256", 1), "not whole numbers from 0 to 255"),
    ],
)
def test_names_the_line_of_a_malformed_row(change, message, lines, tmp_path):
    lines[3] = change(lines[3])
    with pytest.raises(errors.InputError) as caught:
        fer2013.read_csv(write(tmp_path / "fer2013.csv", lines))
    assert "1 rows are malformed:\n  line 4: " in str(caught.value)
    assert message in str(caught.value)


def test_names_the_first_of_many_malformed_rows(lines, tmp_path):
    with pytest.raises(errors.InputError) as caught:
        fer2013.read_csv(write(tmp_path / "fer2013.csv", [lines[0], *["9,1,Training"] * 7]))
    assert "7 rows are malformed" in str(caught.value)
    assert "line 6:" in str(caught.value)
    assert "line 7:" not in str(caught.value)


def test_refuses_what_is_not_the_csv(lines, tmp_path):
    path = write(tmp_path / "fer2013.csv", lines[1:])
    with pytest.raises(errors.InputError, match="line 1: found .* expected the header"):
        fer2013.read_csv(path)
    whole = write(path, lines, compressed=True).read_bytes()
    path.write_bytes(whole[:-300])
    with pytest.raises(errors.InputError, match="cannot be read as a table"):
        fer2013.read_csv(path)
    path.write_bytes(b"\xff\xfe" * 20)
    with pytest.raises(errors.InputError, match="cannot be read as a table"):
        fer2013.read_csv(path)


def splits_of(counts, classes):
    labels = np.repeat(np.arange(7), list(classes.values()))
    ends = np.cumsum(list(counts.values()))[:-1]
    parts = np.split(labels, ends)
    return {split: (np.zeros(0), part) for split, part in zip(counts, parts, strict=True)}


def test_warns_of_other_counts(caplog, tmp_path):
    def warnings(counts, classes):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "absl"):
            fer2013.check_counts(tmp_path, splits_of(counts, classes))
        return caplog.text

    assert sum(fer2013.COUNTS.values()) == sum(fer2013.CLASS_COUNTS.values()) == 35_887
    assert warnings(fer2013.COUNTS, fer2013.CLASS_COUNTS) == ""
    # The copies that go round have one sad face that the paper counts as neutral.
    one = fer2013.CLASS_COUNTS | {"sad": 6_078, "neutral": 6_197}
    assert warnings(fer2013.COUNTS, one) == ""
    swapped = fer2013.CLASS_COUNTS | {"sad": 6_198, "neutral": 6_077}
    assert "is the order of the codes different?" in warnings(fer2013.COUNTS, swapped)
    fewer = fer2013.COUNTS | {"private_test": 3_588}
    assert "3588" in warnings(fewer, fer2013.CLASS_COUNTS | {"neutral": 6_197})


def write_folders(folder, rng, size=(48, 48)):
    pictures = {}
    for split in ("train", "test"):
        for name in fer2013.EXPRESSIONS:
            path = folder / split / name / "1.png"
            path.parent.mkdir(parents=True)
            pictures[split, name] = rng.integers(0, 256, size, np.uint8)
            cv2.imwrite(str(path), pictures[split, name])
    return pictures


def test_reads_folders(rng, tmp_path):
    pictures = write_folders(tmp_path / "source", rng)
    (tmp_path / "source" / "train" / "angry" / "readme.txt").write_text("not a picture")
    splits = expression_pictures.load("fer2013", str(tmp_path / "data"), str(tmp_path / "source"))
    assert list(splits) == ["test", "train"] or list(splits) == ["train", "test"]
    for split, (images, labels) in splits.items():
        for image, label in zip(images, labels, strict=True):
            expected = pictures[split, fer2013.EXPRESSIONS[label]]
            np.testing.assert_array_equal(image[..., 0], expected)
        assert sorted(labels) == list(range(7))


def test_shrinks_bigger_pictures(rng, tmp_path):
    pictures = write_folders(tmp_path, rng, (96, 96))
    images, _ = fer2013.read_folders(tmp_path)["train"]
    expected = pictures["train", "angry"].reshape(48, 2, 48, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(images[0, ..., 0], expected, atol=0.51)


def test_refuses_incomplete_folders(rng, tmp_path):
    write_folders(tmp_path, rng)
    picture = tmp_path / "test" / "fear" / "1.png"
    picture.write_bytes(b"no picture")
    with pytest.raises(errors.InputError, match="1.png: not a readable picture"):
        fer2013.read_folders(tmp_path)
    picture.unlink()
    with pytest.raises(errors.InputError, match="fear: found no pictures"):
        fer2013.read_folders(tmp_path)
