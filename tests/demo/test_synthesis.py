"""The generated folder is deterministic, is readable as RECOLA, and survives interruptions."""

import dataclasses
import json

import numpy as np
import pytest

from ast_net import errors
from ast_net.datasets import annotations, gold_standard, recola, recola_layouts
from ast_net.demo import synthesis
from ast_net.faces import detection, video, video_writer

# Long compared with the reaction delays, with few pictures.
SHORT = synthesis.DemoSettings(seed=3, seconds=12.0, frame_rate=1)


def contents(folder):
    """Returns each file's text, or the number of pictures if it is a video."""
    return {
        path.relative_to(folder).as_posix(): (
            sum(1 for _ in video.Video(path).frames())
            if path.suffix == ".mp4"
            else path.read_text()
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_generated_folder_is_readable_as_recola(tmp_path):
    synthesis.generate(tmp_path, ["P16"], recola_layouts.RELEASE, SHORT)
    assert json.loads((tmp_path / "synthesis.json").read_text())["seed"] == 3
    files = {
        t: tmp_path / recola_layouts.RELEASE.ratings / t / "P16.csv" for t in ("valence", "arousal")
    }
    _, gold = gold_standard.of_targets("P16", recola.read(files))
    assert gold.shape == (301, 2) and np.abs(gold).max() <= 1
    for target in ("valence", "arousal"):
        path = tmp_path / "RECOLA-Annotation" / "emotional_behaviour" / target / "P16.csv"
        ratings = annotations.read_ratings(path)
        assert ratings.raters == ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")
        np.testing.assert_allclose(ratings.times, np.arange(301) / 25, atol=1e-12)
        expected = synthesis.rate("P16", target, SHORT)
        np.testing.assert_allclose(ratings.values, expected, atol=1e-9)
    frames = list(video.Video(tmp_path / "RECOLA-Video-recordings" / "P16.mp4").frames())
    np.testing.assert_allclose([f.timestamp for f in frames], np.arange(12), atol=1e-6)
    filmed = list(synthesis.film("P16", SHORT))
    assert len(filmed) == 12
    for frame, image in zip(frames, filmed):
        assert np.abs(frame.image.astype(int) - image).mean() < 6


def test_the_same_seed_gives_the_same_pictures():
    first, again = (np.stack(list(synthesis.film("P16", SHORT))) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_the_same_seed_gives_the_same_files(tmp_path):
    synthesis.generate(tmp_path / "one", ["P16", "P17"], recola_layouts.RELEASE, SHORT)
    synthesis.generate(tmp_path / "other", ["P17"], recola_layouts.RELEASE, SHORT)
    one, other = contents(tmp_path / "one"), contents(tmp_path / "other")
    assert len(one) == 7 and len(other) == 4
    assert all(one[name] == content for name, content in other.items())


def test_different_seeds_and_names_give_different_recordings():
    times = np.linspace(0, 40, 1001)
    curves = [
        synthesis.latent(name, times, synthesis.DemoSettings(seed=seed))
        for seed, name in [(0, "P16"), (0, "P17"), (1, "P16")]
    ]
    films = [
        next(synthesis.film(name, synthesis.DemoSettings(seed=seed))).astype(int)
        for seed, name in [(0, "P16"), (0, "P17"), (1, "P16")]
    ]
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        assert np.abs(np.corrcoef(curves[a].T, curves[b].T)[:2, 2:]).max() < 0.9
        assert np.abs(films[a] - films[b]).mean() > 10


@pytest.mark.parametrize("name", ["P16", "P17", "P18"])
def test_latents_are_smooth_centred_and_uncorrelated(name):
    times = np.arange(0, 40.001, 0.04)
    curves = synthesis.latent(name, times)
    np.testing.assert_allclose(curves.mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(np.abs(curves).max(axis=0), 0.8, atol=0.01)
    assert abs(np.corrcoef(curves.T)[0, 1]) < 0.02
    assert np.abs(np.diff(curves, axis=0)).max() < 0.04
    np.testing.assert_allclose(synthesis.latent(name, times[100:200]), curves[100:200])
    outside = synthesis.latent(name, np.array([-3.0, 0.0, 40.0, 43.0]))
    np.testing.assert_array_equal(outside[[0, 3]], outside[[1, 2]])


def test_an_interrupted_generation_is_continued(tmp_path, monkeypatch):
    write = video_writer.write_video

    def interrupted(path, images, frame_rate):
        def some():
            for index, image in enumerate(images):
                if path.stem == "P17" and index == 4:
                    raise KeyboardInterrupt
                yield image

        write(path, some(), frame_rate)

    monkeypatch.setattr(video_writer, "write_video", interrupted)
    with pytest.raises(KeyboardInterrupt):
        synthesis.generate(tmp_path / "demo", ["P16", "P17"], recola_layouts.RELEASE, SHORT)
    videos = tmp_path / "demo" / "RECOLA-Video-recordings"
    assert [path.name for path in videos.iterdir()] == ["P16.mp4"]
    kept = [
        videos / "P16.mp4",
        tmp_path / "demo" / recola_layouts.RELEASE.ratings / "valence" / "P16.csv",
    ]
    written = [path.stat().st_mtime_ns for path in kept]

    monkeypatch.setattr(video_writer, "write_video", write)
    (tmp_path / "demo" / recola_layouts.RELEASE.ratings / "arousal" / "P16.csv").unlink()
    synthesis.generate(tmp_path / "demo", ["P16", "P17"], recola_layouts.RELEASE, SHORT)
    assert [path.stat().st_mtime_ns for path in kept] == written
    synthesis.generate(tmp_path / "at once", ["P16", "P17"], recola_layouts.RELEASE, SHORT)
    assert contents(tmp_path / "demo") == contents(tmp_path / "at once")


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(SHORT, seed=4),
        dataclasses.replace(SHORT, seconds=13.0),
        dataclasses.replace(SHORT, frame_rate=25),
    ],
)
def test_refuses_a_folder_with_other_settings(tmp_path, other):
    synthesis.generate(tmp_path, [], recola_layouts.RELEASE, SHORT)
    with pytest.raises(errors.InputError, match="synthesis.json: the folder was generated with"):
        synthesis.generate(tmp_path, ["P16"], recola_layouts.RELEASE, other)
    assert sorted(contents(tmp_path)) == ["synthesis.json"]


def test_refuses_a_folder_that_was_not_generated(tmp_path):
    (tmp_path / "RECOLA-Video-recordings").mkdir()
    with pytest.raises(errors.InputError, match="has no synthesis.json"):
        synthesis.generate(tmp_path, ["P16"], recola_layouts.RELEASE, SHORT)
    (tmp_path / "synthesis.json").write_text("{")
    with pytest.raises(errors.InputError, match="was generated with"):
        synthesis.generate(tmp_path, ["P16"], recola_layouts.RELEASE, SHORT)


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.InputError, match="cannot be written"):
        synthesis.generate(tmp_path / "file" / "demo", ["P16"], recola_layouts.RELEASE, SHORT)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seconds": 0.5}, {"frame_rate": 0}])
def test_refuses_settings_that_make_no_video(wrong):
    with pytest.raises(errors.InputError, match="expected a seed"):
        synthesis.DemoSettings(**wrong)


def test_mtcnn_finds_the_face():
    detector = detection.FaceDetector()
    for name in ("P16", "P17", "P18"):
        for image in list(synthesis.film(name, SHORT))[::3]:
            (face,) = detector.detect(image)
            assert face.confidence > 0.9 and 85 < face.box[2] < 130
