"""RECOLA's layouts: recognition, reading and errors."""

from unittest import mock

import layouts
import numpy as np
import pytest
from absl import logging

from ast_net import errors
from ast_net.datasets import reader, recola, recola_layouts
from ast_net.records import store

WRITERS = {
    recola_layouts.RELEASE.name: (layouts.recola_own, "P16", "P19"),
    recola_layouts.CENTRED.name: (layouts.recola_centred, "P16", "P19"),
    recola_layouts.AVEC_2016.name: (layouts.recola_avec_2016, "train_1", "dev_1"),
    recola_layouts.AVEC_2018.name: (layouts.recola_avec_2018, "train_2", "dev_2"),
}
GOLD = "ratings_gold_standard/valence/dev_1.arff"


def sources(folder, train, dev) -> list[reader.Source]:
    settings = layouts.preparation("recola", {"train": (train,), "dev": (dev,)})
    return [source for part in recola.Recola(settings).sources(folder).values() for source in part]


@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_is_recognised_and_read(layout, tmp_path):
    write, *names = WRITERS[layout]
    write(tmp_path / "source")
    assert recola_layouts.recognise(tmp_path / "source")[0].name == layout
    for source, name in zip(sources(tmp_path / "source", *names), names, strict=True):
        times, gold = source.read_gold()
        np.testing.assert_array_equal(times, layouts.TIMES)
        expected = np.stack(
            [layouts.gold_standard(name, target) for target in layouts.TARGETS], axis=1
        )
        # A released gold standard is used unchanged.
        tolerance = 1e-12 if layout == recola_layouts.RELEASE.name else 0
        np.testing.assert_allclose(gold, expected, rtol=0, atol=tolerance)
        if layout == recola_layouts.CENTRED.name:
            assert source.read_raters is None
        else:
            ratings = source.read_raters()["arousal"]
            assert ratings.raters == ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")
            np.testing.assert_allclose(ratings.values, layouts.raters(name, "arousal"), atol=1e-12)


def test_avec_may_lack_individual_ratings(tmp_path):
    layouts.recola_avec_2016(tmp_path / "source")
    (tmp_path / "source/ratings_individual/arousal/dev_1.csv").unlink()
    train, dev = sources(tmp_path / "source", "train_1", "dev_1")
    assert train.read_raters is not None
    assert dev.read_raters is None


def test_avec_has_nine_recordings_in_train_and_nine_in_dev():
    for layout in (recola_layouts.AVEC_2016, recola_layouts.AVEC_2018):
        assert layout.partitions == {
            split: tuple(f"{split}_{k}" for k in range(1, 10)) for split in ("train", "dev")
        }


@pytest.mark.parametrize("write", [layouts.recola_avec_2016, layouts.recola_avec_2018])
def test_the_challenge_s_test_videos_have_no_ratings(write, tmp_path):
    write(tmp_path)
    for name in ("test_10.mp4", "test_2.mp4", "test_1.avi", "test_3.txt", "test_x.mp4"):
        (tmp_path / "recordings_video" / name).touch()
    (layout, *_) = recola_layouts.recognise(tmp_path)
    split = layout.split(tmp_path)
    assert list(split) == ["train", "dev", "test"]
    assert split["test"] == ("test_1", "test_2", "test_10")


def test_ratings_may_be_missing_in_test_and_nowhere_else(tmp_path):
    layouts.recola_avec_2016(tmp_path)
    for name in ("train_2", "test_1", "test_2"):
        (tmp_path / f"recordings_video/{name}.mp4").write_text(name)

    def sources_of(train):
        partitions = {"train": train, "dev": ("dev_1",), "test": ("test_1", "test_2")}
        return recola.Recola(layouts.preparation("recola", partitions)).sources(tmp_path)

    with mock.patch.object(logging, "warning") as warning:
        test = sources_of(("train_1",))["test"]
    assert "test recordings without ratings: test_1, test_2" in warning.call_args.args[0]
    assert [(source.ratings, source.read_raters) for source in test] == [((), None)] * 2
    with pytest.raises(errors.InputError, match=r"missing files: 2(.|\n)*arousal/train_2\.arff"):
        sources_of(("train_1", "train_2"))
    # If one test recording has ratings, those of the others are missing by mistake.
    (tmp_path / GOLD).with_name("test_1.arff").touch()
    with pytest.raises(errors.InputError, match=r"missing files: 3(.|\n)*valence/test_2\.arff"):
        sources_of(("train_1",))


def test_of_several_layouts_the_first_is_used_and_the_others_are_named(tmp_path):
    for write, *_ in reversed(WRITERS.values()):
        write(tmp_path)
    folders = [layout.ratings for layout in recola_layouts.recognise(tmp_path)]
    assert folders == [
        *(layout.ratings for layout in recola_layouts.LAYOUTS[:3]),
        "labels/gs_1",
        "labels/gs_2",
    ]
    settings = layouts.preparation("recola", manual_dir=str(tmp_path))
    with (
        mock.patch.object(logging, "info") as info,
        mock.patch.object(logging, "warning") as warning,
    ):
        recola.Recola(settings).folder()
    assert recola_layouts.RELEASE.name in info.call_args.args[0]
    others = [*list(WRITERS)[1:], "AVEC 2018"]
    for call, other in zip(warning.call_args_list, others, strict=True):
        assert f"ignoring {other}" in call.args[0]


def test_without_a_known_layout_the_error_shows_all_layouts(tmp_path):
    (tmp_path / "labels/individual/arousal").mkdir(parents=True)
    (tmp_path / "labels/individual/arousal/dev_1.arff").touch()
    (tmp_path / "ratings_gold_standard/arousal").mkdir(parents=True)
    with pytest.raises(errors.InputError, match="has no RECOLA ratings") as raised:
        recola_layouts.recognise(tmp_path)
    for layout in recola_layouts.LAYOUTS:
        assert layout.ratings in str(raised.value)


def test_all_missing_files_of_the_split_are_named(tmp_path):
    layouts.recola_avec_2016(tmp_path)
    data_set = recola.Recola(layouts.preparation("recola"))
    with pytest.raises(errors.InputError, match=r"missing files: 48(.|\n)*train_2\.arff") as raised:
        data_set.sources(tmp_path)
    assert "dev_1.arff" not in str(raised.value)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n", "\r\n"),
        ("@attribute", "@ATTRIBUTE"),
        ("numeric", "real"),
        ("dev_1,", "'dev_1', "),
        ("@data\n", "% a comment\n@data\n% another, with numbers: 0.04\n"),
        ("@relation", "\ufeff@relation"),
    ],
)
def test_arff_is_read_in_its_variants(old, new, tmp_path):
    layouts.recola_avec_2016(tmp_path)
    edit(tmp_path / GOLD, old, new)
    ratings = recola_layouts.read_arff(tmp_path / GOLD)
    np.testing.assert_array_equal(ratings.values[:, 0], layouts.gold_standard("dev_1", "valence"))


def test_arff_columns_are_found_by_name(tmp_path):
    layouts.recola_avec_2016(tmp_path)
    lines = (tmp_path / GOLD).read_text().splitlines()
    lines[3], lines[4] = lines[4], lines[3]
    rows = [",".join([a, c, b]) for a, b, c in (line.split(",") for line in lines[9:])]
    (tmp_path / GOLD).write_text("\n".join(lines[:9] + rows))
    ratings = recola_layouts.read_arff(tmp_path / GOLD)
    np.testing.assert_array_equal(ratings.times, layouts.TIMES)
    (tmp_path / GOLD).write_text("\n".join([*lines[:9], "dev_1,?,0"]))
    assert np.isnan(recola_layouts.read_arff(tmp_path / GOLD).values[0, 0])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("dev_1,0.4,", "dev_2,0.4,", "line 20: found a rating of dev_2, expected dev_1"),
        ("dev_1,0.4,", "0.4,", "line 20: 2 cells; expected 3"),
        ("dev_1,0.4,", "% 1\n% 2\ndev_1,x,", "line 22, column frameTime: found 'x'"),
        ("dev_1,0.4,", "dev_1,0.3,", "line 20: time 0.3 follows 0.36"),
        ("dev_1,0.4,", "dev_1,0.4,9", "line 20, column GoldStandard: found 9"),
        (
            "GoldStandard numeric",
            "arousal numeric",
            "0 columns are named goldstandard; expected one",
        ),
        (
            "@attribute frameTime numeric",
            "@attribute frameTime",
            "line 4: found '@attribute frameTime'",
        ),
        ("@data", "@date", "line 8: found '@date'"),
        ("@data", "", "line 10: found 'dev_1,0"),
        ("dev_1,0,", "'dev_1,0,", "line 10: "),
    ],
)
def test_an_error_in_an_arff_file_is_named(old, new, expected, tmp_path):
    layouts.recola_avec_2016(tmp_path)
    edit(tmp_path / GOLD, old, new)
    with pytest.raises(errors.InputError) as raised:
        recola_layouts.read_arff(tmp_path / GOLD)
    assert expected in str(raised.value) and GOLD in str(raised.value)


def test_an_arff_file_truncated_in_its_header_is_named(tmp_path):
    for text, expected in (
        ("", "no attributes followed by @data"),
        ("@attribute x real\n@data\n", "the file has a header but no rows"),
    ):
        (tmp_path / "a.arff").write_text(text)
        with pytest.raises(errors.InputError, match=expected):
            recola_layouts.read_arff(tmp_path / "a.arff")


def test_centred_ratings_may_have_a_header_and_no_further_column(tmp_path):
    path = tmp_path / "P16.csv"
    path.write_text("time;gold\n0;0,5\n0,04;0,25\n")
    np.testing.assert_array_equal(recola_layouts.read_gold(path).values[:, 0], [0.5, 0.25])
    path.write_text("gold,time\n0.5,0\n0.25,0.04\n")
    np.testing.assert_array_equal(recola_layouts.read_gold(path).values[:, 0], [0.5, 0.25])
    for text, expected in (
        ("0,0.5,0.1\n", "line 1: 3 cells; expected 2"),
        ("time,FM1,FM2\n0,0.5,0.1\n", "expected only time and the gold standard"),
    ):
        path.write_text(text)
        with pytest.raises(errors.InputError, match=expected):
            recola_layouts.read_gold(path)


@pytest.mark.parametrize("layout", list(WRITERS)[1:])
def test_every_other_layout_is_prepared_trained_on_and_evaluated(
    layout, tmp_path, whole_way, face_video, other_face_video
):
    write, train, dev = WRITERS[layout]
    write(tmp_path / "source", face_video, other_face_video)
    whole_way("recola", tmp_path / "source", {"train": (train,), "dev": (dev,)})


def test_ratings_in_other_units_than_seconds_stop_preparation(face_video, tmp_path):
    layouts.recola_centred(tmp_path / "source", face_video)
    for path in (tmp_path / "source").rglob("*.csv"):
        rows = (line.split(",") for line in path.read_text().splitlines())
        path.write_text("\n".join(f"{float(time) * 25:.0f},{value}" for time, value in rows))
    settings = layouts.preparation(
        "recola",
        {"train": ("P16",), "dev": ("P19",)},
        data_dir=str(tmp_path / "data"),
        manual_dir=str(tmp_path / "source"),
    )
    with pytest.raises(
        errors.InputError, match=r"ends at 0\.80 s, but the ratings of P16 at 40\.00 s"
    ):
        store.prepare(settings)
