"""RECOLA's own release, as a tiny generated folder: reading, records and errors."""

import shutil
from unittest import mock

import layouts
import numpy as np
import pytest
import tensorflow_datasets as tfds
from absl import logging

from ast_net import config, errors
from ast_net.cnn import runtime
from ast_net.datasets import annotations, gold_standard, recola, recola_layouts
from ast_net.faces import alignment, face_track, video, video_writer
from ast_net.records import example_format, making, record_files, store


@pytest.fixture
def folder(recola_folder, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(recola_folder, tmp_path / "recola")


def settings(folder, data_dir, **changes):
    partitions = {"train": ("P1",), "dev": ("P2",)}
    paths = {"manual_dir": folder and str(folder), "data_dir": str(data_dir)}
    return layouts.preparation("recola", **{"partitions": partitions, **paths, **changes})


VIDEOS, RATINGS = recola_layouts.RELEASE.videos[0], recola_layouts.RELEASE.ratings


def rating_file(folder, name="P1", target="valence"):
    return folder / RATINGS / target / f"{name}.csv"


def read_gold(folder, name="P1"):
    files = {target: rating_file(folder, name, target) for target in config.TARGETS}
    return gold_standard.of_targets(name, recola.read(files))[1]


def edit(path, change):
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


@pytest.fixture(scope="module")
def prepared(recola_folder, tmp_path_factory):
    return store.prepare(settings(recola_folder, tmp_path_factory.mktemp("data")))


def test_records_hold_features_and_gold_standard_of_every_frame(prepared, recola_folder):
    film = video.open_video(recola_folder / VIDEOS / "P1.mp4")
    track = face_track.track_video(film, config.Tracking())
    ratings = annotations.read_ratings(rating_file(recola_folder, "P1", "arousal"))
    gold = gold_standard.gold_standard(ratings.values)
    faces = alignment.aligned_faces(film, track, config.Alignment())
    features = np.stack(
        list(
            runtime.extract(
                runtime.load("compact", None, config.FLOAT32, "unused"),
                ((f.image, f.valid) for f in faces),
            )
        )
    )
    end = 0
    for example in prepared.segments("train").as_numpy_iterator():
        first, count = example["first_frame"], len(example["mask"])
        # Segments share the 8 frames of a clip (4 frames, every second one) and its twin.
        assert first == max(0, end - 8)
        end = first + count
        assert example["features"].dtype == np.float16
        np.testing.assert_allclose(example["features"], features[first:end], rtol=0.01, atol=0.01)
        np.testing.assert_array_equal(example["mask"], track.valid[first:end])
        np.testing.assert_array_equal(example["timestamps"], track.timestamps[first:end])
        # 25 frames/s and a rating every 0.04 s: the k-th frame has the k-th rating.
        np.testing.assert_allclose(example["labels"][:, 1], gold[first:end], atol=1e-6)
        later = example["later_labels"]
        np.testing.assert_allclose(later[:, 1], gold[end:][: len(later)], atol=1e-6)
    assert end == len(track)


def test_records_take_little_more_than_their_features(prepared):
    size = sum(file.stat().st_size for file in prepared.folder.glob("*-train.*"))
    examples = list(prepared.segments("train").as_numpy_iterator())
    frames = max(example["first_frame"] + len(example["mask"]) for example in examples)
    assert len(examples) > 1
    # Half of the frames are stored twice, so that every clip lies inside one segment.
    stored = sum(len(example["mask"]) for example in examples)
    assert stored <= 1.5 * frames
    assert size <= 1.15 * stored * 512 * 2


def test_tfds_loads_the_records(prepared):
    name = f"recola/{prepared.folder.parent.name}"
    data = tfds.load(name, split="dev", data_dir=prepared.folder.parents[2])
    example = next(iter(tfds.as_numpy(data)))
    assert example["recording"] == b"P2"


def test_prepared_records_need_no_source(prepared):
    again = store.prepare(settings(None, prepared.folder.parents[2]))
    assert (again.folder, again.digest) == (prepared.folder, prepared.digest)


def test_records_of_other_settings_never_mix(prepared):
    data_dir = prepared.folder.parents[2]
    for changes in (
        {"clip": config.Clip(5, 2)},
        {"partitions": {"train": ("P2",), "dev": ("P1",)}},
        {"targets": ("valence",)},
        {"max_rating_gap": 2.0},
        {"runtime": config.Runtime("tensorflow", "bfloat16")},
    ):
        assert store.find(settings(None, data_dir, **changes)) is None
    assert store.find(settings(None, data_dir)) is not None
    with mock.patch.object(face_track, "TRACK_VERSION", -1):
        assert store.find(settings(None, data_dir)) is None


@pytest.fixture
def made(monkeypatch):
    """The names of the recordings whose records are made, in order."""
    names = []
    make = making.VideoMaker.make

    def spy(self, job):
        names.append(job.name)
        make(self, job)

    monkeypatch.setattr(making.VideoMaker, "make", spy)
    return names


def test_only_changed_recordings_are_made_again(prepared, folder, tmp_path, made):
    data_dir = shutil.copytree(prepared.folder.parents[2], tmp_path / "data")
    before = store.prepare(settings(folder, data_dir))
    assert made == [], "shutil.copytree keeps the times of files"
    edit(rating_file(folder), lambda lines: [*lines[:-1], lines[-1].replace("0.", "0.1")])
    corrected = store.prepare(settings(folder, data_dir))
    assert made == ["P1"]
    assert corrected.digest != before.digest
    # Another split of the same recordings.
    store.prepare(settings(folder, data_dir, partitions={"train": ("P2",), "dev": ("P1",)}))
    assert made == ["P1"]
    shutil.copy(folder / VIDEOS / "P1.mp4", folder / VIDEOS / "P3.mp4")
    for target in config.TARGETS:
        shutil.copy(rating_file(folder, "P1", target), rating_file(folder, "P3", target))
    partitions = {"train": ("P1", "P3"), "dev": ("P2",)}
    prepared = store.prepare(settings(folder, data_dir, partitions=partitions))
    assert prepared.splits == {"train": ["P1", "P3"], "dev": ["P2"]}
    assert made == ["P1", "P3"]
    # The earlier records are still there.
    assert record_files.Records(before.folder).digest == before.digest
    assert store.find(settings(None, data_dir), digest=before.digest).folder == before.folder


def test_without_the_source_the_newest_records_are_used(folder, tmp_path):
    before = store.prepare(settings(folder, tmp_path / "data"))
    edit(rating_file(folder), lambda lines: lines[:-1])
    after = store.prepare(settings(folder, tmp_path / "data"))
    assert before.digest != after.digest
    assert store.find(settings(None, tmp_path / "data")).digest == after.digest
    older = store.find(settings(None, tmp_path / "data"), digest=before.digest)
    assert older.folder == before.folder


def test_two_studies_share_a_folder_and_are_told_apart(recola_folder, folder, tmp_path):
    edit(rating_file(folder), lambda lines: lines[:-1])
    first, second = (
        store.prepare(settings(study, tmp_path / "data")) for study in (recola_folder, folder)
    )
    assert first.digest != second.digest
    with pytest.raises(
        errors.InputError, match="several source folders: .*choose one with `manual_dir`"
    ):
        store.prepare(settings(None, tmp_path / "data"))
    again = store.prepare(settings(recola_folder, tmp_path / "data"))
    assert again.folder == first.folder


def test_one_target_needs_no_ratings_of_the_other(folder, tmp_path):
    shutil.rmtree(folder / RATINGS / "arousal")
    records = store.prepare(settings(folder, tmp_path / "data", targets=("valence",)))
    example = next(records.segments("dev").as_numpy_iterator())
    assert records.targets == ("valence",) and example["labels"].shape[1] == 1


def test_moments_and_frame_rate_are_stored(prepared):
    rows = [
        piece.segment["features"]
        .numpy()[: piece.frames][piece.segment["mask"].numpy()[: piece.frames]]
        .astype(np.float64)
        for _, pieces in example_format.by_recording(prepared.segments("train"))
        for piece in pieces
    ]
    assert len(rows) > 1
    features = np.concatenate(rows)
    mean, variance = prepared.moments()
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-6, atol=1e-6)
    expected = features.var(axis=0)
    np.testing.assert_allclose(variance, expected + 0.01 * expected.mean(), rtol=1e-4, atol=1e-6)
    assert prepared.frame_rate == 25.0


def test_truncated_records_are_refused(prepared, tmp_path):
    data_dir = shutil.copytree(prepared.folder.parents[2], tmp_path / "data")
    file = next(data_dir.rglob("*.tfrecord-*"))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(errors.InputError, match="cannot be read as records"):
        store.prepare(settings(None, data_dir))


@pytest.mark.parametrize("manual_dir", [None, "nowhere"])
def test_without_a_source_the_error_shows_the_expected_files(manual_dir, tmp_path):
    with pytest.raises(errors.InputError, match="RECOLA-Annotation/emotional_behaviour"):
        store.prepare(settings(manual_dir, tmp_path))


def test_every_missing_file_is_named(folder, tmp_path):
    rating_file(folder, "P2").unlink()
    (folder / VIDEOS / "P1.mp4").unlink()
    with pytest.raises(errors.InputError) as caught:
        store.prepare(settings(folder, tmp_path / "data"))
    assert str(rating_file(folder, "P2")) in str(caught.value)
    assert str(folder / VIDEOS / "P1.mp4") in str(caught.value)
    assert "missing files: 2" in str(caught.value)


def test_partitions_are_checked(folder):
    def sources(partitions):
        return recola.Recola(layouts.preparation("recola", partitions)).sources(folder)

    with pytest.raises(errors.InputError, match="listed more than once in train, dev and test: P1"):
        sources({"train": ("P1",), "dev": ("P1",)})
    with pytest.raises(errors.InputError, match="dev partition is empty; give `dev_recordings`"):
        sources({"train": ("P1",)})


def test_default_partitions_are_the_shared_recordings():
    shared = [16, 17, 19, 21, 23, 25, 26, 28, 30, 34, 37, 39]
    shared += [41, 42, 43, 45, 46, 48, 56, 58, 62, 64, 65]
    names = [name for part in recola_layouts.RELEASE.partitions.values() for name in part]
    assert sorted(names) == sorted(f"P{number}" for number in shared)


def test_frames_after_the_last_rating_have_no_label(folder, tmp_path):
    for target in config.TARGETS:
        edit(rating_file(folder, "P1", target), lambda lines: lines[:51])  # to 1.96 s
    records = store.prepare(settings(folder, tmp_path / "data"))
    rated = {}
    for example in records.segments("train").as_numpy_iterator():
        for time, label in zip(example["timestamps"], example["labels"], strict=True):
            rated[round(time * 25)] = np.isfinite(label).all()
    # A rating holds for half a step, and the next frame is a whole step away.
    assert [frame for frame, is_rated in sorted(rated.items()) if is_rated] == list(range(50))


def test_a_missing_rating_is_left_out_of_the_gold_standard(folder):
    complete = read_gold(folder)

    def blank(lines):
        cells = lines[10].split(";")
        return [*lines[:10], ";".join([cells[0], "NaN", *cells[2:]]), *lines[11:]]

    edit(rating_file(folder), blank)
    gold = read_gold(folder)
    assert np.isfinite(gold).all()
    np.testing.assert_array_equal(gold[:, 1], complete[:, 1])
    assert 0 < np.abs(gold[9, 0] - complete[9, 0]) < 0.5


def test_a_constant_rater_is_accepted(folder):
    def constant(lines):
        return [lines[0], *(f"{line.rpartition(';')[0]};0.5" for line in lines[1:])]

    edit(rating_file(folder), constant)
    assert np.isfinite(read_gold(folder)).all()


def test_frames_without_a_face_keep_their_place(folder, portrait, tmp_path):
    blank = np.full((240, 320, 3), 90, np.uint8)
    face = blank.copy()
    face[:, 16:304] = portrait[20:260]
    video_writer.write_video(folder / VIDEOS / "P1.mp4", [face] * 10 + [blank] * 20, 25)
    video_writer.write_video(folder / VIDEOS / "P2.mp4", [blank] * 30, 25)
    with mock.patch.object(logging, "warning") as warning:
        records = store.prepare(settings(folder, tmp_path / "data"))
    messages = [call.args[0] % call.args[1:] for call in warning.call_args_list]
    assert any("P2.mp4: no face in any of its 30 frames" in line for line in messages)
    masks = {}
    for split in ("train", "dev"):
        masks[split] = np.zeros(30, bool)
        for example in records.segments(split).as_numpy_iterator():
            first, mask = example["first_frame"], example["mask"]
            masks[split][first : first + len(mask)] = mask
            assert not example["features"][~mask].any()
    np.testing.assert_array_equal(masks["train"], np.arange(30) < 10)
    assert not masks["dev"].any()


def test_a_truncated_video_is_used_up_to_its_end(folder, tmp_path):
    path = folder / VIDEOS / "P1.mp4"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with mock.patch.object(logging, "warning") as warning:
        records = store.prepare(settings(folder, tmp_path / "data"))
    messages = [call.args[0] % call.args[1:] for call in warning.call_args_list]
    assert any("P1: the ratings end at 4.00 s, but the video at" in line for line in messages)
    frames = max(
        example["first_frame"] + len(example["mask"])
        for example in records.segments("train").as_numpy_iterator()
    )
    assert 10 < frames < 100


def test_a_cell_that_is_not_a_number_is_named(folder):
    edit(rating_file(folder), lambda lines: [*lines[:5], lines[5] + "x", *lines[6:]])
    with pytest.raises(errors.InputError, match=r"valence/P1\.csv, line 6, column FF3"):
        read_gold(folder)


def test_a_target_has_no_gold_standard_after_its_last_rating(folder):
    complete = read_gold(folder)
    edit(rating_file(folder), lambda lines: lines[:51])
    with mock.patch.object(logging, "warning") as warning:
        gold = read_gold(folder)
    assert "ratings end at different times" in warning.call_args.args[0]
    np.testing.assert_array_equal(np.isnan(gold[:, 0]), np.arange(len(gold)) >= 50)
    np.testing.assert_array_equal(gold[:, 1], complete[:, 1])


@pytest.mark.parametrize("content", [b"", b"this is a text file\n" * 50])
def test_an_unreadable_video_stops_preparation_and_leaves_no_data_set(content, folder, tmp_path):
    (folder / VIDEOS / "P2.mp4").write_bytes(content)
    with pytest.raises(errors.InputError, match=r"P2\.mp4"):
        store.prepare(settings(folder, tmp_path / "data"))
    assert not list((tmp_path / "data/recola").rglob("*.tfrecord*"))
