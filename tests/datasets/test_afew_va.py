"""AFEW-VA: ratings of pictures, splits by actor, and errors."""

import json
import logging

import layouts
import numpy as np
import pytest

from ast_net import errors
from ast_net.datasets import afew_va

GREY = [np.full((12, 16, 3), k, np.uint8) for k in range(12)]


@pytest.fixture
def folder(tmp_path):
    return layouts.afew_va(tmp_path / "afew_va", GREY)


def sources(folder, **settings):
    return afew_va.AfewVa(layouts.preparation("afew_va", **settings)).sources(folder)


def read(folder, name="001"):
    settings = layouts.preparation("afew_va")
    return afew_va.AfewVa(settings).source(folder, name).read_gold()


def edit(folder, change, name="001"):
    path = folder / name / f"{name}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_ratings_are_rescaled_to_the_unit_range(folder):
    times, gold = read(folder, "003")
    np.testing.assert_allclose(times, np.arange(12) / 25)
    np.testing.assert_allclose(gold[:, 0], (np.arange(12) - 10) / 10)
    np.testing.assert_allclose(gold[:, 1], 0.2)


def test_pictures_without_ratings_and_ratings_without_pictures(folder, caplog):
    edit(folder, lambda content: content["frames"].pop("00004"))
    (folder / "001/00007.png").unlink()
    (folder / "001/00008.png").unlink()
    (folder / "001/00000.png").unlink()
    with caplog.at_level(logging.WARNING, logger="absl"):
        times, gold = read(folder)
    assert "1 of 9 pictures have no rating, and 3 ratings are ignored" in caplog.text
    numbers = np.array([1, 2, 3, 4, 5, 6, 9, 10, 11])
    np.testing.assert_allclose(times, (numbers - 1) / 25)
    expected = np.where(numbers == 4, np.nan, (numbers - 10) / 10)
    np.testing.assert_allclose(gold[:, 0], expected)


def test_no_actor_is_in_two_splits(tmp_path):
    clips = [f"{n:03d}" for n in range(1, 21)]
    actors = [None if n < 9 else f"actor {n % 4}" for n in range(20)]
    folder = layouts.afew_va(tmp_path / "afew_va", GREY[:1], clips, actors)
    split_sources = sources(folder)
    splits_of = {}
    for split, part in split_sources.items():
        for source in part:
            splits_of.setdefault(actors[clips.index(source.name)], set()).add(split)
    assert len(splits_of.pop(None)) > 1
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert [len(split_sources[split]) for split in ("train", "dev", "test")] == [12, 4, 4]


def test_a_source_is_a_folder_of_pictures_and_its_json(folder):
    (source,) = sources(folder, partitions={"train": ("001",), "dev": ("003",)})["train"]
    assert (source.video, source.ratings) == (folder / "001", [folder / "001/001.json"])


def test_missing_files_are_named(folder, tmp_path):
    (folder / "002/002.json").unlink()
    with pytest.raises(errors.InputError, match=r"missing files: 1\n.*002/002\.json"):
        sources(folder)
    partitions = {"train": ("001",), "dev": ("600",)}
    with pytest.raises(errors.InputError, match="missing files: 2\n.*600"):
        sources(folder, partitions=partitions)
    with pytest.raises(errors.InputError, match="no folders named 001 to 600"):
        sources(tmp_path / "data")
    for path in (folder / "001").glob("*.png"):
        path.unlink()
    with pytest.raises(errors.InputError, match="001: no pictures in this folder"):
        read(folder)


@pytest.mark.parametrize("rating", [11, -10.5, "3", None, True, [1], float("nan")])
def test_an_invalid_rating_is_named(rating, folder):
    edit(folder, lambda content: content["frames"]["00003"].update(arousal=rating))
    with pytest.raises(errors.InputError, match=r"001\.json, frame '00003', arousal: found"):
        read(folder)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "cannot be read as JSON"),
        ('{"frames": {"00000": {"valence": 1', "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("[]", 'no "frames" with ratings'),
        ("{}", 'no "frames" with ratings'),
        ('{"frames": [1]}', 'no "frames" with ratings'),
        ('{"frames": {"00000": 5}}', 'frame .00000., valence: found "5"'),
        ('{"frames": {"00000": {"arousal": 5}}}', "frame '00000', valence: found null"),
        ('{"frames": {"first": {}}}', "frame 'first': expected the number of a picture"),
        (
            '{"frames": {"0": {"valence": 1, "arousal": 1}, "00": {"valence": 2, "arousal": 1}}}',
            "frame '00': expected .* each number once",
        ),
        ('{"frames": {"0": {"valence": 1, "valence": 2}}}', "'valence' occurs more than once"),
    ],
)
def test_a_damaged_json_is_named(text, reason, folder):
    (folder / "001/001.json").write_text(text)
    with pytest.raises(errors.InputError, match=f"001.json.*{reason}"):
        read(folder)


def test_order_byte_order_mark_and_line_endings_do_not_matter(folder):
    expected = read(folder)
    path = folder / "001/001.json"
    content = json.loads(path.read_text())
    content["frames"] = dict(reversed(content["frames"].items()))
    text = "\ufeff" + json.dumps(content, indent=1).replace("\n", "\r\n")
    path.write_text(text, encoding="utf-8", newline="")
    for array, expected_array in zip(read(folder), expected, strict=True):
        np.testing.assert_array_equal(array, expected_array)
