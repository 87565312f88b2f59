"""AVEC2012: labels and their times at each frame rate, splits, and errors."""

import logging
import re

import layouts
import numpy as np
import pytest

from ast_net import config, errors
from ast_net.datasets import avec2012
from ast_net.faces import video

GREY = [np.full((48, 64, 3), k % 200, np.uint8) for k in range(200)]


def labels_of(folder, session="train001", target="valence"):
    split = session[:-3]
    name = f"labels_continuous_{session}_{target}.dat"
    return folder / "emotion labels" / split / f"FC_{split}_labels" / name


@pytest.fixture(scope="module")
def tiny_video(tmp_path_factory):
    return layouts.write_avi(tmp_path_factory.mktemp("video") / "a.avi", GREY[:24], 49.979)


@pytest.fixture
def folder(tiny_video, tmp_path):
    return layouts.avec2012(tmp_path / "avec2012", tiny_video)


def sources(folder, **settings):
    return avec2012.Avec2012(layouts.preparation("avec2012", **settings)).sources(folder)


def read(folder, **settings):
    return sources(folder, **settings)["train"][0].read_gold()


@pytest.mark.parametrize("rate", [49.979, 49.479])
@pytest.mark.parametrize("labels", [200, 198])
def test_a_label_has_the_time_of_its_frame_at_either_rate(rate, labels, tmp_path, caplog):
    path = layouts.write_avi(tmp_path / "a.avi", GREY, rate)
    with caplog.at_level(logging.WARNING, logger="absl"):
        label_rate = avec2012.label_rate("train001", labels, path)
    assert label_rate == pytest.approx(rate, abs=1e-3)
    times = [frame.timestamp for frame in video.Video(path).frames()]
    np.testing.assert_allclose(np.arange(200) / label_rate, times, atol=1e-3)
    assert not caplog.records


@pytest.mark.parametrize(
    ("frame_rate", "labels", "expected", "warning"),
    [
        (25, 400, 49.979, ""),  # 8.003 s in a video of 8 s that was converted to another rate
        (25, 200, 25.0, ""),  # as many as there are frames
        (25, 340, 49.979, r"340 labels at 49\.979 a second last 6\.80 s, .* 200 frames in 8\.00 s"),
        (25, 460, 49.979, r"460 labels at 49\.979 a second last 9\.20 s"),
        (49.479, 140, 49.479, r"140 labels at 49\.479 a second last 2\.83 s.* in 4\.04 s"),
    ],
)
def test_labels_and_video_of_different_length(
    frame_rate, labels, expected, warning, tmp_path, caplog
):
    path = layouts.write_avi(tmp_path / "a.avi", GREY, frame_rate)
    with caplog.at_level(logging.WARNING, logger="absl"):
        label_rate = avec2012.label_rate("train001", labels, path)
    assert label_rate == pytest.approx(expected, abs=1e-3)
    assert re.search(warning, caplog.text) if warning else not caplog.text


def test_columns_are_the_targets(folder, tmp_path):
    times, gold = read(folder)
    np.testing.assert_allclose(times, np.arange(24) / 49.979, atol=1e-5)
    seeds = {"arousal": 0, "expectancy": 10, "power": 20, "valence": 30}
    for targets in (config.TARGETS, config.ALL_TARGETS):
        _, gold = read(folder, targets=targets)
        expected = np.stack([layouts.curve(24, seeds[target]) for target in targets], axis=1)
        np.testing.assert_allclose(gold, expected, atol=1e-6)


def test_splits_are_those_of_the_challenge(folder, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        split_sources = sources(folder)
    names = {split: [source.name for source in part] for split, part in split_sources.items()}
    assert names == {"train": ["train001", "train002"], "dev": ["devel001"], "test": ["test001"]}
    assert split_sources["dev"][0].video == folder / "video/devel_video001.avi"
    assert "2 sessions with labels, but the release has 31" in caplog.text
    labels_of(folder, "test001").parent.rename(folder / "kept")
    (folder / "video/test_video001.avi").rename(folder / "kept/other.avi")
    assert set(sources(folder)) == {"train", "dev"}
    chosen = sources(folder, partitions={"train": ("devel001",), "dev": ("train002",)})
    assert [source.name for source in chosen["train"]] == ["devel001"]
    labels_of(folder, "devel001").parent.rename(folder / "kept, too")
    with pytest.raises(errors.InputError, match="FC_devel_labels: no files such as labels"):
        sources(folder)
    with pytest.raises(errors.InputError, match="P16: AVEC2012 has no session of this name"):
        sources(folder, partitions={"train": ("P16",), "dev": ("P19",)})


def test_test_sessions_without_labels_come_without_ratings(folder, caplog):
    labels_of(folder, "test001").parent.rename(folder / "kept")
    video = folder / "video/test_video001.avi"
    video.with_name("test_video012.avi").write_bytes(video.read_bytes())
    with caplog.at_level(logging.WARNING, logger="absl"):
        test = sources(folder)["test"]
    assert [(source.name, source.ratings) for source in test] == [("test001", ()), ("test012", ())]
    assert "test recordings without ratings: test001, test012; evaluate with" in caplog.text
    times, gold = test[0].read_gold()
    assert len(times) == len(gold) == 0


def test_videos_are_found_by_a_pattern(folder, tmp_path):
    renamed = folder / "clips" / "session 001, train.avi"
    renamed.parent.mkdir()
    (folder / "video/train_video001.avi").rename(renamed)
    with pytest.raises(
        errors.InputError, match=r"no files match \*\*/train\*001\.avi.*`video_pattern`"
    ):
        sources(folder)
    (folder / "video/devel_video001.avi").rename(folder / "clips/session 001, devel.avi")
    partitions = {"train": ("train001",), "dev": ("devel001",)}
    split_sources = sources(
        folder, video_pattern="clips/*{number}, {split}*", partitions=partitions
    )
    assert split_sources["train"][0].video == renamed
    for pattern, reason in [
        ("**/*{number}*.avi", "3 files match .*; expected one video"),
        ("{session}.avi", "cannot be used .*{split} and {number}"),
        ("/{number}.avi", "cannot be used"),
        ("{", "cannot be used"),
    ]:
        with pytest.raises(errors.InputError, match=reason):
            sources(folder, video_pattern=pattern, partitions=partitions)


@pytest.mark.parametrize(
    "vary",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n\r\n  \n",
        lambda text: text.rstrip(),
        lambda text: text.replace(".", ","),
        lambda text: text.replace("\n", " \n"),
    ],
)
def test_harmless_variants_of_a_label_file_are_read(vary, folder, tmp_path):
    expected = read(folder)[1]
    path = labels_of(folder)
    path.write_text(vary(path.read_text()), encoding="utf-8", newline="")
    np.testing.assert_array_equal(read(folder)[1], expected)


def test_a_missing_label_stays_missing(folder, tmp_path):
    path = labels_of(folder)
    path.write_text("\n".join(["NaN", *path.read_text().splitlines()[1:]]))
    gold = read(folder)[1]
    assert np.isnan(gold[0, 0]) and np.isfinite(gold[1:]).all() and np.isfinite(gold[0, 1])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1_0", r"valence\.dat, line 3, column 1: found '1_0', expected a number"),
        ("x", r"valence\.dat, line 3, column 1: found 'x'"),
        ("inf", r"valence\.dat, line 3, column 1: found 'inf'"),
        ("", r"valence\.dat, line 3: 0 cells"),
        ("0.1 0.2", r"valence\.dat, line 3: 2 cells in '0\.1 0\.2'; expected 1"),
        (
            "3.5",
            r"valence\.dat: valence ranges from -0\.\d+ to 3\.5; expected ratings from -1 to 1",
        ),
        ("0.1\n0.2", "the numbers of labels differ: 25 in .*valence.*24 in .*arousal"),
        ("\0\xff", r"valence\.dat"),
    ],
)
def test_a_damaged_line_is_named(line, reason, folder, tmp_path):
    path = labels_of(folder)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[3:]]), encoding="latin-1")
    with pytest.raises(errors.InputError, match=reason):
        read(folder)


def test_missing_and_empty_files_are_named(folder, tmp_path):
    labels_of(folder).write_text("\n")
    with pytest.raises(errors.InputError, match="valence.dat: the file is empty"):
        read(folder)
    labels_of(folder).unlink()
    with pytest.raises(errors.InputError, match=r"missing files: 1\n.*train001_valence\.dat"):
        sources(folder)


def test_expectancy_from_0_to_100_is_rescaled_to_the_unit_range(folder, tmp_path):
    path = labels_of(folder, target="expectancy")
    path.write_text("".join(f"{value}\n" for value in np.linspace(0, 100, 24)))
    _, gold = read(folder, targets=config.ALL_TARGETS)
    np.testing.assert_allclose(gold[:, 2], np.linspace(-1, 1, 24), atol=1e-12)
    path.write_text("".join(f"{value}\n" for value in np.linspace(-50, 50, 24)))
    with pytest.raises(errors.InputError, match="expectancy ranges from -50 to 50"):
        read(folder, targets=config.ALL_TARGETS)
