"""A user's own recordings: the list, the rating files, and errors."""

import dataclasses
from unittest import mock

import layouts
import numpy as np
import pytest
from absl import logging

from ast_net import config, errors
from ast_net.datasets import recola, recording_list
from ast_net.faces import video, video_writer
from ast_net.records import making, store


@pytest.fixture
def folder(tmp_path):
    layouts.recordings(tmp_path / "source")
    return tmp_path / "source"


def sources(folder, **settings):
    return recording_list.RecordingList(layouts.preparation("recordings", **settings)).sources(
        folder
    )


def expected(name):
    return np.stack([layouts.gold_standard(name, target) for target in layouts.TARGETS], axis=1)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_reads_gold_standards_or_computes_them_from_raters(folder):
    split_sources = sources(folder)
    assert {split: [source.name for source in part] for split, part in split_sources.items()} == {
        "train": ["anna"],
        "dev": ["ben"],
    }
    for source in (*split_sources["train"], *split_sources["dev"]):
        times, gold = source.read_gold()
        np.testing.assert_array_equal(times, layouts.TIMES)
        np.testing.assert_allclose(gold, expected(source.name), rtol=0, atol=1e-12)
    ratings = split_sources["dev"][0].read_raters()
    assert ratings["valence"].raters == ("valence_kim", "valence_lee")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (",", ";"),
        (",", "\t"),
        (",", " , "),
        ("\n", "\r\n"),
        ("recording", "\ufeffRecording"),
        ("anna,videos/anna.mp4,train", '"anna","videos/anna.mp4",TRAIN'),
        ("\nben", "\n\n,,,,\nben"),
        ("ratings/anna.csv", "{folder}/ratings/anna.csv"),
        ("ratings/anna.csv", "./ratings/../ratings/anna.csv"),
    ],
)
def test_the_list_may_be_written_in_many_ways(folder, old, new):
    edit(folder / "recordings.csv", old, new.format(folder=folder))
    (source,) = sources(folder)["train"]
    np.testing.assert_array_equal(source.read_gold()[1], expected("anna"))


def test_the_split_may_be_given_by_names_instead(folder):
    split_sources = sources(folder, partitions={"train": ("ben",), "dev": ("anna",)})
    assert [source.name for source in split_sources["train"]] == ["ben"]
    with pytest.raises(errors.InputError, match="no recording carl; expected one of anna, ben"):
        sources(folder, partitions={"train": ("ben",), "dev": ("carl",)})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "recording,",
            "name,",
            "found the header 'name,video,split,ratings,camera'; expected a header with recording",
        ),
        ("video,split", "split,split", "expected a header with recording, video, split, ratings"),
        (
            ",train,",
            ",training,",
            "line 2: found the split 'training', expected one of train, dev, test",
        ),
        (",train,", ",,", "line 2: found the split '', expected"),
        (",train,", ",dev,", "the train partition is empty"),
        (",dev,", ",test,", "the dev partition is empty"),
        ("\nben,", "\nanna,", "line 3: anna is already in line 2"),
        ("\nben,", "\n../ben,", "line 3: found the recording name '../ben', expected letters"),
        ("\nben,", "\n,", "line 3: found the recording name ''"),
        ("videos/ben.mp4", "videos/b.mp4", "missing files: 1\n  {folder}/videos/b.mp4"),
        ("ratings/ben.csv", "", "line 3: ratings is empty"),
        ("ratings/ben.csv", "ratings/anna.csv", "ratings/anna.csv: belongs to both anna and ben"),
        (
            "videos/ben.mp4",
            "videos/../videos/anna.mp4",
            "videos/anna.mp4: belongs to both anna and ben",
        ),
        (",left\nben", "\nben", "line 2: 4 cells; expected 5"),
    ],
)
def test_an_error_in_the_list_is_named(folder, old, new, message):
    edit(folder / "recordings.csv", old, new)
    with pytest.raises(errors.InputError) as raised:
        sources(folder)
    assert message.format(folder=folder) in str(raised.value)
    assert str(folder) in str(raised.value)


def test_test_recordings_need_no_ratings(folder):
    text = (folder / "recordings.csv").read_text()
    (folder / "videos/carl.mp4").touch()
    (folder / "recordings.csv").write_text(text + "carl,videos/carl.mp4,test,,left\n")
    (carl,) = sources(folder)["test"]
    assert (carl.ratings, len(carl.read_gold()[0])) == ((), 0)
    with pytest.raises(errors.InputError, match="in train or dev without ratings: carl;.*`dev_rec"):
        sources(folder, partitions={"train": ("anna",), "dev": ("ben", "carl")})


def test_without_a_list_the_error_shows_an_example(tmp_path):
    with pytest.raises(
        errors.InputError, match="recordings.csv: no such file(.|\n)*time,valence,arousal"
    ):
        sources(tmp_path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "time,valence,mood,comment",
            "expected either one column named arousal, or one for each rater",
        ),
        ("time,valence,arousal,valence_kim", "expected either one column named valence"),
        ("onset,valence,arousal,comment", "expected a header with time"),
        ("frame,valence,arousal,comment", "divide the frame numbers, counted from 0"),
        ("arousal,valence,time,comment", "line 3: time"),
        ("time,valence,comment,arousal", "line 2, column arousal: found 'x'"),
    ],
)
def test_an_error_in_a_rating_file_is_named(folder, header, message):
    path = folder / "ratings/anna.csv"
    edit(path, "time,valence,arousal,comment", header)
    with pytest.raises(errors.InputError) as raised:
        recording_list.read_targets(path, layouts.TARGETS)
    assert message in str(raised.value) and str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("scale", "middle", "half"),
    [((1, 9), 5, 4), ((0, 100), 50, 50), ((-1000, 1000), 0, 1000), ((1, 5), 3, 2)],
)
def test_ratings_on_another_scale_are_mapped_with_its_middle_to_0(folder, scale, middle, half):
    """The same gold standard is read from ratings on each scale, named by the flag or the list."""
    for name in ("anna", "ben"):
        columns = (layouts.TIMES, *(middle + half * expected(name)).T)
        rows = [",".join(map(repr, map(float, row))) for row in zip(*columns)]
        (folder / f"ratings/{name}.csv").write_text("\n".join(["time,valence,arousal", *rows]))
    with pytest.raises(errors.InputError, match=r"in \[-1, 1\]; the ratings of.*`rating_scale=LOW"):
        sources(folder)["train"][0].read_gold()
    by_flag = sources(folder, rating_scale=tuple(map(float, scale)))
    edit(folder / "recordings.csv", "camera", "camera,rating_scale")
    edit(folder / "recordings.csv", ",left", f",left,{scale[0]} {scale[1]}")
    for split_sources in (by_flag, sources(folder), sources(folder, rating_scale=(-7.0, 7.0))):
        for source in (*split_sources["train"], *split_sources["dev"]):
            assert source.rating_scale == scale
            gold = source.read_gold()[1]
            np.testing.assert_allclose(gold, expected(source.name), rtol=0, atol=1e-9)


@pytest.mark.parametrize("cell", ["9 1", "1", "one nine", "1 5 9", "nan 1", "1 inf"])
def test_a_wrong_scale_in_the_list_is_named(folder, cell):
    edit(folder / "recordings.csv", "camera", "rating_scale")
    edit(folder / "recordings.csv", "anna.csv,left", f"anna.csv,{cell}")
    edit(folder / "recordings.csv", "ben.csv,left", "ben.csv,")
    with pytest.raises(errors.InputError, match="recordings.csv, line 2: found the rating_scale"):
        sources(folder)


def test_other_data_sets_have_their_own_scale():
    settings = layouts.preparation("recola", rating_scale=(0.0, 1.0))
    with pytest.raises(errors.InputError, match="recola .* does not use `rating_scale`"):
        recola.Recola(settings)


def test_another_scale_costs_only_the_recordings_that_have_it(folder, face_video, tmp_path):
    layouts.recordings(folder, face_video)

    def files(**changes):
        settings = {"data_dir": str(tmp_path / "data"), "manual_dir": str(folder), **changes}
        with (
            mock.patch.object(making, "make_all", return_value={"anna": "failed"}) as make_all,
            pytest.raises(errors.InputError, match="anna: failed"),
        ):
            store.prepare(layouts.preparation("recordings", **settings))
        return {job.name: job.file for job in make_all.call_args.args[1]}

    edit(folder / "recordings.csv", "camera", "rating_scale")
    edit(folder / "recordings.csv", "ben.csv,left", "ben.csv,")
    edit(folder / "recordings.csv", ",left", ",-2 2")
    first, by_flag = files(), files(rating_scale=(-3.0, 3.0))
    edit(folder / "recordings.csv", ",-2 2", ",-4 4")
    by_list = files()
    assert first["anna"] == by_flag["anna"] != by_list["anna"]
    assert by_flag["ben"] != first["ben"] == by_list["ben"]


def test_all_rating_files_are_checked_before_the_first_video(folder, face_video, tmp_path):
    layouts.recordings(folder, face_video)
    edit(folder / "ratings/anna.csv", "time,", "hours,")
    lines = (folder / "ratings/ben.csv").read_text().splitlines()
    rows = [f"{8 * k};{line.partition(';')[2]}" for k, line in enumerate(lines[1:])]
    (folder / "ratings/ben.csv").write_text("\n".join([lines[0], *rows]))
    settings = layouts.preparation(
        "recordings", data_dir=str(tmp_path / "data"), manual_dir=str(folder)
    )
    with (
        mock.patch.object(making, "make_all", side_effect=AssertionError("a video was begun")),
        pytest.raises(errors.InputError) as raised,
    ):
        store.prepare(settings)
    message = str(raised.value)
    assert "anna.csv: found the header 'hours,valence" in message
    assert "ben.mp4: the video ends at 0.80 s, but the ratings of ben at 320.00 s" in message
    assert "call their column time_ms" in message


def test_ratings_that_are_never_negative_are_warned_of(folder):
    (folder / "ratings/anna.csv").write_text("time,valence,arousal\n0,0.2,0.5\n1,0.9,-0.1\n")
    (folder / "ratings/ben.csv").write_text("time,valence,arousal\n0,0,0\n1,1,1\n")
    part = sources(folder)
    with mock.patch.object(logging, "warning") as warning:
        making.read_all_gold(part["train"] + part["dev"], layouts.TARGETS)
    (message,) = [call.args[0] for call in warning.call_args_list]
    assert "of valence is negative (they are from 0 to 1, in 2 recordings)" in message


def test_raters_may_start_late_and_end_early(folder):
    path = folder / "ratings/ben.csv"
    lines = path.read_text().splitlines()
    # kim's first 4 ratings are missing, and lee's last 10.
    for row in range(1, len(lines)):
        cells = lines[row].split(";")
        if row < 5:
            cells[1] = ""
        if row > len(lines) - 11:
            cells[2] = "NaN"
        lines[row] = ";".join(cells)
    path.write_text("\n".join(lines))
    rated = recording_list.read_targets(path, layouts.TARGETS)["valence"].values
    assert (~np.isnan(rated)).sum(axis=0).tolist() == [37, 31]
    _, gold = sources(folder)["dev"][0].read_gold()
    assert np.isfinite(gold).all()
    # Where only one rater has ratings, the gold standard follows them at another level.
    np.testing.assert_allclose(np.diff(gold[:4, 0]), np.diff(expected("ben")[:4, 0]), atol=1e-12)
    np.testing.assert_allclose(gold[:, 1], expected("ben")[:, 1], atol=1e-12)


def test_a_target_that_nobody_rated_has_an_empty_column(folder):
    path = folder / "ratings/anna.csv"
    path.write_text("time,valence,arousal\n0,0.5,\n1,0.25,\n")
    _, gold = sources(folder)["train"][0].read_gold()
    np.testing.assert_array_equal(gold, [[0.5, np.nan], [0.25, np.nan]])


def test_listed_recordings_are_prepared_trained_on_and_evaluated(
    tmp_path, whole_way, face_video, other_face_video
):
    layouts.recordings(tmp_path / "source", face_video, other_face_video)
    whole_way("recordings", tmp_path / "source", {})


def test_one_video_under_two_names_is_not_trained_and_scored_on(tmp_path, whole_way, face_video):
    layouts.recordings(tmp_path / "source", face_video)
    with pytest.raises(errors.InputError, match="anna in train and ben in dev show the same video"):
        whole_way("recordings", tmp_path / "source", {})
    assert not (tmp_path / "run").exists()


def test_recordings_to_test_on_are_enough_to_prepare_and_decide_nothing_later(
    folder, face_video, tmp_path
):
    images = [frame.image for frame in video.Video(face_video).frames()]
    layouts.recordings(folder, face_video)
    video_writer.write_video(folder / "videos/ben.mp4", images, 50)
    text = (folder / "recordings.csv").read_text()
    header, _, ben = text.splitlines()
    (folder / "recordings.csv").write_text(f"{header}\n{ben.replace(',dev,', ',test,')}\n")
    settings = layouts.preparation(
        "recordings", data_dir=str(tmp_path / "data"), manual_dir=str(folder)
    )
    without_folder = dataclasses.replace(settings, manual_dir=None)
    with pytest.raises(errors.InputError, match="the train partition is empty"):
        store.prepare(settings)
    alone = store.prepare(settings, needed=("test",))
    assert (alone.splits, alone.frame_rate) == ({"test": ["ben"]}, 50)
    assert store.prepare(settings, needed=()).digest == alone.digest
    with pytest.raises(errors.InputError, match="recordings is not prepared yet"):
        store.prepare(without_folder)
    # anna has 25 frames/s.
    (folder / "recordings.csv").write_text(text)
    whole = store.prepare(settings)
    assert (whole.frame_rate, whole.time_step) == (25, settings.clip.stride / 25)
    (folder / "recordings.csv").write_text(f"{header}\n{ben.replace(',dev,', ',test,')}\n")
    assert store.prepare(settings, needed=()).frame_rate == 25
    assert store.prepare(without_folder).digest == whole.digest


def test_records_of_another_stride_are_not_taken(folder, face_video, tmp_path):
    layouts.recordings(folder, face_video)
    settings = layouts.preparation(
        "recordings", data_dir=str(tmp_path / "data"), manual_dir=str(folder)
    )
    made = store.prepare(settings)
    other = dataclasses.replace(
        settings, clip=config.Clip(settings.clip.frames, 5), manual_dir=None
    )
    assert store.find(dataclasses.replace(settings, manual_dir=None)).digest == made.digest
    assert store.find(other) is None


def test_a_changed_split_is_not_taken_for_the_prepared_one(tmp_path, face_video):
    folder = tmp_path / "source"
    layouts.recordings(folder, face_video)
    settings = layouts.preparation(
        "recordings", data_dir=str(tmp_path / "data"), manual_dir=str(folder)
    )
    assert store.prepare(settings).splits == {"train": ["anna"], "dev": ["ben"]}
    text = (folder / "recordings.csv").read_text()
    swapped = text.replace(",train,", ",x,").replace(",dev,", ",train,").replace(",x,", ",dev,")
    (folder / "recordings.csv").write_text(swapped)
    with mock.patch.object(making, "make_all", side_effect=AssertionError("nothing is new")):
        assert store.prepare(settings).splits == {"train": ["ben"], "dev": ["anna"]}
