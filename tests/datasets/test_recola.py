"""RECOLA's own release, as a tiny generated folder: what is read, what is stored, what is refused."""

import pathlib
import shutil
from unittest import mock

import numpy as np
import pytest
import tensorflow_datasets as tfds
from absl import logging

from ast_net import config, errors
from ast_net.cnn import runtime
from ast_net.datasets import annotations, gold_standard, recola, recola_layouts
from ast_net.faces import alignment, face_track, video, video_writer
from ast_net.records import example_format, store

CLIP = config.Clip(4, 2)


@pytest.fixture
def folder(recola_folder, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(recola_folder, tmp_path / "recola")


def settings(**changes):
    partitions = {"train": ("P1",), "dev": ("P2",)}
    return example_format.RecordsConfig(**{"clip": CLIP, "partitions": partitions, **changes})


def rating_file(folder, name="P1", target="valence"):
    return folder / recola.RATINGS / target / f"{name}.csv"


def read_gold(folder, name="P1"):
    return recola.read_gold(name, {t: rating_file(folder, name, t) for t in config.TARGETS})[1]


def edit(path, change):
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


@pytest.fixture(scope="module")
def prepared(recola_folder, tmp_path_factory):
    data_dir = str(tmp_path_factory.mktemp("data"))
    return store.prepare("recola", settings(), data_dir, str(recola_folder))


def test_records_hold_features_and_gold_standard_of_every_frame(prepared, recola_folder):
    source = video.Video(recola_folder / recola.VIDEOS / "P1.mp4")
    track = face_track.track_video(source, config.Tracking())
    ratings = annotations.read_ratings(rating_file(recola_folder, "P1", "arousal"))
    gold = gold_standard.gold_standard(ratings.values)
    faces = alignment.aligned_faces(source, track, config.Alignment())
    features = np.stack(
        list(
            runtime.extract(
                runtime.load("compact", None, config.FLOAT32, "unused"),
                ((f.image, f.valid) for f in faces),
            )
        )
    )
    seen = 0
    for example in store.segments(prepared, "train").as_numpy_iterator():
        first, count = example["first_frame"], len(example["mask"])
        assert first == max(0, seen - example_format.RecordsConfig(clip=CLIP).overlap)
        seen = first + count
        assert example["features"].dtype == np.float16
        np.testing.assert_allclose(example["features"], features[first:seen], rtol=0.01, atol=0.01)
        np.testing.assert_array_equal(example["mask"], track.valid[first:seen])
        np.testing.assert_array_equal(example["timestamps"], track.timestamps[first:seen])
        # 25 frames/s and a rating every 0.04 s: the k-th frame has the k-th rating.
        np.testing.assert_allclose(example["labels"][:, 1], gold[first:seen], atol=1e-6)
        later = example["later_labels"]
        np.testing.assert_allclose(later[:, 1], gold[seen:][: len(later)], atol=1e-6)
    assert seen == len(track)


def test_records_take_little_more_than_their_features(prepared):
    split = prepared.info.splits["train"]
    size = sum(pathlib.Path(file).stat().st_size for file in split.filepaths)
    examples = list(store.segments(prepared, "train").as_numpy_iterator())
    frames = max(example["first_frame"] + len(example["mask"]) for example in examples)
    assert len(examples) > 1
    assert size <= 1.15 * frames * 512 * 2


def test_tfds_users_find_a_data_set_like_any_other(recola_folder, tmp_path):
    builder = recola.Recola(config=settings(), data_dir=tmp_path)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=recola_folder)
    )
    example = next(iter(tfds.as_numpy(builder.as_dataset(split="dev"))))
    assert example["recording"] == b"P2"
    assert tfds.builder("recola", data_dir=tmp_path).name == "recola"


def test_prepared_records_need_no_source(prepared):
    data_dir = prepared.data_path.parents[2]
    again = store.prepare("recola", settings(), str(data_dir), None)
    assert again.info.splits["dev"].num_examples == prepared.info.splits["dev"].num_examples


def test_records_of_other_settings_have_other_names():
    names = [
        settings().name,
        settings(clip=config.Clip(5, 2)).name,
        settings(partitions={"train": ("P2",), "dev": ("P1",)}).name,
        settings(tracking=config.Tracking(redetect_every=7)).name,
        settings(alignment=config.Alignment(left_eye=(70.0, 90.0))).name,
        settings(runtime=config.Runtime("tensorflow", "bfloat16")).name,
        settings(runtime=config.Runtime("openvino", "bfloat16")).name,
        settings(runtime=config.Runtime("openvino", "float32")).name,
        example_format.RecordsConfig().name,
    ]
    assert len(set(names)) == len(names)


def test_records_of_changed_sources_are_refused(prepared, folder):
    data_dir = str(prepared.data_path.parents[2])
    store.prepare("recola", settings(), data_dir, str(folder))
    edit(rating_file(folder), lambda lines: lines[:-1])
    with pytest.raises(errors.InputError, match=r"made of other files.*valence/P1\.csv"):
        store.prepare("recola", settings(), data_dir, str(folder))


def test_truncated_records_are_refused(prepared, tmp_path):
    data_dir = shutil.copytree(prepared.data_path.parents[2], tmp_path / "data")
    file = next(data_dir.rglob("*.tfrecord-*"))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(errors.InputError, match="they are damaged"):
        store.prepare("recola", settings(), str(data_dir), None)


@pytest.mark.parametrize("manual_dir", [None, "nowhere"])
def test_without_a_source_the_error_tells_what_is_expected(manual_dir, tmp_path):
    with pytest.raises(errors.InputError, match="RECOLA-Annotation/emotional_behaviour"):
        store.prepare("recola", settings(), str(tmp_path), manual_dir)


def test_every_missing_file_is_named(folder, tmp_path):
    rating_file(folder, "P2").unlink()
    (folder / recola.VIDEOS / "P1.mp4").unlink()
    with pytest.raises(errors.InputError) as caught:
        store.prepare("recola", settings(), str(tmp_path / "data"), str(folder))
    assert str(rating_file(folder, "P2")) in str(caught.value)
    assert str(folder / recola.VIDEOS / "P1.mp4") in str(caught.value)
    assert "2 files are missing" in str(caught.value)


def test_partitions_are_checked(folder, tmp_path):
    def made_of(partitions):
        return recola.Recola(config=settings(partitions=partitions), data_dir=tmp_path).made_of(
            folder
        )

    with pytest.raises(errors.InputError, match=r"more than one place.*P1"):
        made_of({"train": ("P1",), "dev": ("P1",)})
    with pytest.raises(errors.InputError, match="dev partition is empty: give --dev_recordings"):
        made_of({"train": ("P1",)})


def test_default_partitions_are_the_shared_recordings():
    shared = [
        16,
        17,
        19,
        21,
        23,
        25,
        26,
        28,
        30,
        34,
        37,
        39,
        41,
        42,
        43,
        45,
        46,
        48,
        56,
        58,
        62,
        64,
        65,
    ]
    names = [name for part in recola_layouts.OWN.partitions.values() for name in part]
    assert sorted(names) == sorted(f"P{number}" for number in shared)


def test_ratings_shorter_than_the_video_leave_frames_without(folder, tmp_path):
    for target in config.TARGETS:
        edit(rating_file(folder, "P1", target), lambda lines: lines[:51])  # to 1.96 s
    builder = store.prepare("recola", settings(), str(tmp_path / "data"), str(folder))
    rated = {}
    for example in store.segments(builder, "train").as_numpy_iterator():
        for time, label in zip(example["timestamps"], example["labels"], strict=True):
            rated[round(time * 25)] = np.isfinite(label).all()
    # A rating holds for half a step after it, which no further frame is within.
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


def test_a_constant_rater_is_no_obstacle(folder):
    def constant(lines):
        return [lines[0], *(f"{line.rpartition(';')[0]};0.5" for line in lines[1:])]

    edit(rating_file(folder), constant)
    assert np.isfinite(read_gold(folder)).all()


def test_frames_without_a_face_keep_their_place(folder, portrait, tmp_path):
    blank = np.full((240, 320, 3), 90, np.uint8)
    face = blank.copy()
    face[:, 16:304] = portrait[20:260]
    video_writer.write_video(folder / recola.VIDEOS / "P1.mp4", [face] * 10 + [blank] * 20, 25)
    video_writer.write_video(folder / recola.VIDEOS / "P2.mp4", [blank] * 30, 25)
    with mock.patch.object(logging, "warning") as warning:
        builder = store.prepare("recola", settings(), str(tmp_path / "data"), str(folder))
    said = [call.args[0] % call.args[1:] for call in warning.call_args_list]
    assert any("P2.mp4: no face in any of its 30 frames" in line for line in said)
    masks = {}
    for split in ("train", "dev"):
        masks[split] = np.zeros(30, bool)
        for example in store.segments(builder, split).as_numpy_iterator():
            first, mask = example["first_frame"], example["mask"]
            masks[split][first : first + len(mask)] = mask
            assert not example["features"][~mask].any()
    np.testing.assert_array_equal(masks["train"], np.arange(30) < 10)
    assert not masks["dev"].any()


def test_a_truncated_video_is_used_as_far_as_it_goes(folder, tmp_path):
    path = folder / recola.VIDEOS / "P1.mp4"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with mock.patch.object(logging, "warning") as warning:
        builder = store.prepare("recola", settings(), str(tmp_path / "data"), str(folder))
    said = [call.args[0] % call.args[1:] for call in warning.call_args_list]
    assert any("P1: its ratings go on to 6.00 s, but the video ends at" in line for line in said)
    frames = max(
        example["first_frame"] + len(example["mask"])
        for example in store.segments(builder, "train").as_numpy_iterator()
    )
    assert 10 < frames < 150


def test_a_cell_that_is_no_number_is_named(folder):
    edit(rating_file(folder), lambda lines: [*lines[:5], lines[5] + "x", *lines[6:]])
    with pytest.raises(errors.InputError, match=r"valence/P1\.csv, line 6, column FF3"):
        read_gold(folder)


def test_a_target_rated_for_a_shorter_time_has_no_gold_standard_after_it(folder):
    complete = read_gold(folder)
    edit(rating_file(folder), lambda lines: lines[:51])
    with mock.patch.object(logging, "warning") as warning:
        gold = read_gold(folder)
    assert "ratings end at different times" in warning.call_args.args[0]
    np.testing.assert_array_equal(np.isnan(gold[:, 0]), np.arange(len(gold)) >= 50)
    np.testing.assert_array_equal(gold[:, 1], complete[:, 1])


@pytest.mark.parametrize("content", [b"", b"this is a text file\n" * 50])
def test_a_video_that_is_none_stops_preparation_and_leaves_no_data_set(content, folder, tmp_path):
    (folder / recola.VIDEOS / "P2.mp4").write_bytes(content)
    with pytest.raises(errors.InputError, match=r"P2\.mp4"):
        store.prepare("recola", settings(), str(tmp_path / "data"), str(folder))
    assert not list((tmp_path / "data/recola").rglob("*.tfrecord*"))
