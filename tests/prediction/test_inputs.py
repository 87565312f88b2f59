"""Which inputs the user's arguments name."""

import logging
import pathlib
import subprocess

import pytest

from ast_net import errors
from ast_net.faces import photographs, picture_sequence, video
from ast_net.prediction import inputs


@pytest.fixture
def folder(tmp_path):
    for name in (
        "a.mp4",
        "b.MOV",
        "notes.txt",
        ".hidden.mp4",
        "deep/a.mp4",
        "shots/1.png",
        "shots/10.png",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def find(*arguments):
    return list(inputs.find([str(argument) for argument in arguments]).items())


def test_files_folders_and_patterns(folder):
    a, b = folder / "a.mp4", folder / "b.MOV"
    assert find(a) == [("a", a)]
    assert find(folder) == [("a", a), ("b", b)]
    assert find(folder / "*.mp4") == [("a", a)]
    assert find(b, folder) == [("b", b), ("a", a)], "each once, as named"


def test_folders_below_a_folder(folder, tmp_path):
    for name in (
        "deep/er/a.mkv",
        ".git/c.mp4",
        "out/talk/annotated.mp4",
        "out/talk/prediction.json",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "deep/circle").symlink_to(tmp_path)
    found = inputs.find([str(folder), str(folder / "shots/1.png")], recursive=True)
    assert list(found) == ["a", "b", "deep_a", "deep_er_a", "1"]
    assert found["deep_er_a"] == folder / "deep/er/a.mkv"
    with pytest.raises(errors.InputError, match="shots: found no videos .* in this folder and"):
        inputs.find([str(folder / "shots")], recursive=True)


def test_folders_say_what_they_skip(tmp_path, caplog):
    videos = ["a.mts", "b.M2TS", "c.ts", "d.3gp", "e.ogv", "f.gif", "g.vob", "h.mxf"]
    for name in (*videos, "ratings.csv", "clip.y4m", ".hidden"):
        (tmp_path / name).touch()
    with caplog.at_level(logging.INFO, logger="absl"):
        assert [path.name for _, path in find(tmp_path)] == videos
    assert "skipped files that are not videos: clip.y4m, ratings.csv" in caplog.text


def test_each_input_has_a_unique_name(folder):
    assert find(folder / "**/*.mp4") == [("a", folder / "a.mp4"), ("a_2", folder / "deep/a.mp4")]


def test_pictures_are_one_sequence(folder):
    shots = folder / "shots"
    assert find(shots) == [("shots", shots)]
    assert find(shots / "%02d.png") == [("shots", shots / "%02d.png")]
    assert find(shots / "*.png") == [("shots", shots / "*.png")]


def test_a_missing_file_stays_in_the_list_unless_it_is_the_only_one(folder):
    missing, a = pathlib.Path("nowhere.mp4"), folder / "a.mp4"
    assert find(missing, a) == [("nowhere", missing), ("a", a)]
    with pytest.raises(errors.InputError, match="^nowhere.mp4: no such file; check the path$"):
        find(missing)


def test_arguments_without_any_input_are_refused(folder):
    (folder / "empty").mkdir()
    for arguments, reason in (
        ([], "give `video=FILE`"),
        ([folder / "*.avi"], "no file matches"),
        ([folder / "empty"], "neither videos"),
    ):
        with pytest.raises(errors.InputError, match=reason):
            find(*arguments)


def test_patterns_do_not_follow_links_to_folders(folder):
    a = folder / "a.mp4"
    for place in (".", "deep"):
        (folder / place / "loop").symlink_to(folder, target_is_directory=True)
        (folder / place / "self").symlink_to(".", target_is_directory=True)
    (folder / "deep/b.mp4").symlink_to(a)
    expected = [("a", a), ("a_2", folder / "deep/a.mp4"), ("b", folder / "deep/b.mp4")]
    assert find(folder / "**/*.mp4") == find(folder / "**/**/*.mp4") == expected
    assert find(folder / "self/*.mp4") == [("a", folder / "self/a.mp4")], "named without **"


def test_patterns_match_what_a_shell_matches(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / ".cache").mkdir()
    (folder / ".cache/c.mp4").touch()
    every = ["a.mp4", "b.MOV", "deep/a.mp4", "notes.txt", "shots/1.png", "shots/10.png"]
    for pattern, expected in (
        ("**", every),
        ("**.mp4", ["a.mp4"]),
        ("[ab].*", ["a.mp4", "b.MOV"]),
        ("**/?.mp4", ["a.mp4", "deep/a.mp4"]),
        (".*/*.mp4", [".cache/c.mp4"]),
        (".*.mp4", [".hidden.mp4"]),
    ):
        assert [str(path) for _, path in find(pattern)] == expected
        loop = f'for f in {pattern}; do test -f "$f" && echo "$f"; done'
        shell = ["bash", "-O", "globstar", "-c", loop]
        listed = subprocess.run(shell, capture_output=True, text=True).stdout.split()
        assert sorted(listed) == sorted(expected)


def test_names_do_not_leave_the_output_folder(folder):
    for name in ("...mp4", "summary.csv.mp4", "Summary.CSV.mov"):
        (folder / name).touch()
    names = [name for name, _ in find(folder / "...mp4", folder / "summary.csv.mp4")]
    assert names == ["_", "summary.csv_2"]
    assert find(folder / "Summary.CSV.mov")[0][0] == "Summary.CSV_2"


@pytest.mark.parametrize(
    ("names", "is_film"),
    [
        (["1.png", "2.png", "10.png", "3.png", "9.png", "8.png"], True),
        (["frame_0001.jpg", "frame_0002.JPG"], True),
        (["IMG_0001.jpg", "IMG_0003.jpg", "IMG_0005.jpg"], True),
        (["IMG_0001.jpg", "IMG_0003.jpg", "IMG_0007.jpg"], False),
        (["anna1.jpg", "ben2.jpg", "cara3.jpg"], False),
        (["anna.jpg", "ben.jpg"], False),
        (["1.png", "2.png", "cover.png"], False),
        (["1.png", "01.jpg"], False),
        (["7.png"], False),
        (["20240101_101500.jpg", "20240101_101733.jpg"], False),
    ],
)
def test_names_tell_a_film_from_photographs(names, is_film, tmp_path, caplog):
    for name in names:
        (tmp_path / name).touch()
    source = inputs.opened(tmp_path)
    assert isinstance(source, picture_sequence.PictureSequence) == is_film
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (len(names) > 1), "one warning, if there was a choice"
    assert all(("`pictures=separate`" if is_film else "`pictures=sequence`") in s for s in said)


def test_pictures_are_what_the_setting_says(folder, caplog):
    shots = folder / "shots"
    for path in (shots, shots / "*.png", shots / "%d.png"):
        assert isinstance(inputs.opened(path, "sequence"), picture_sequence.PictureSequence)
        assert isinstance(inputs.opened(path, "separate"), photographs.Photographs)
    assert isinstance(inputs.opened(shots / "%d.png"), picture_sequence.PictureSequence)
    assert isinstance(inputs.opened(shots / "1.png"), photographs.Photographs)
    assert isinstance(inputs.opened(shots / "1.png", "sequence"), video.Video)
    assert isinstance(inputs.opened(folder / "a.mp4", "separate"), video.Video)
    assert not caplog.records


def test_a_folder_of_both_is_its_pictures_if_these_are_meant(folder, caplog):
    (folder / "me.jpeg").touch()
    assert [name for name, _ in find(folder)] == ["a", "b"]
    with caplog.at_level(logging.INFO, logger="absl"):
        assert list(inputs.find([str(folder)], "separate").values()) == [folder]
    assert "skipped files that are not pictures: a.mp4, b.MOV, notes.txt" in caplog.text


def test_pictures_that_a_shell_listed_could_have_one_table(folder, caplog):
    names = [folder / "shots" / name for name in ("1.png", "10.png")]
    assert find(names[0]) == [("1", names[0])] and not caplog.records
    assert find(*names) == [("1", names[0]), ("10", names[1])]
    assert f"a pattern in quotes: '{folder}/shots/*.png'" in caplog.text
