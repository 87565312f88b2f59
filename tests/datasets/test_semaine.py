"""SEMAINE: sessions, traces of different length, splits by user, left-out sessions and errors."""

import logging

import layouts
import numpy as np
import pytest

from ast_net import config, errors
from ast_net.datasets import gold_standard, semaine

TWO = {"train": ("1",), "dev": ("13",)}


@pytest.fixture(scope="module")
def tiny_video(tmp_path_factory):
    grey = [np.full((48, 64, 3), k, np.uint8) for k in range(24)]
    return layouts.write_avi(tmp_path_factory.mktemp("video") / "a.avi", grey, 49.979)


@pytest.fixture
def folder(tiny_video, tmp_path):
    return layouts.semaine(tmp_path / "semaine", tiny_video)


def sources(folder, **settings):
    return semaine.Semaine(layouts.preparation("semaine", **settings)).sources(folder)


def read(folder, **settings):
    return sources(folder, partitions=TWO, **settings)["train"][0].read_gold()


def trace(folder, session="1", dimension="V", rater=1):
    return folder / "Sessions" / session / f"R{rater}S{session}TUCPoD{dimension}.txt"


def edit(path, change):
    path.write_text("\n".join(change(path.read_text().splitlines())))


def test_gold_standard_of_traces_of_different_length(folder, tmp_path):
    # The second rater also starts later.
    edit(trace(folder, rater=2), lambda lines: lines[3:])
    times, gold = read(folder, targets=config.ALL_TARGETS)
    np.testing.assert_allclose(times, 0.02 * np.arange(24), atol=1e-9)
    seeds = {"arousal": 0, "valence": 10, "power": 20, "expectancy": 30}
    assert gold.shape == (24, 4)
    for column, target in enumerate(config.ALL_TARGETS):
        both = np.full((24, 2), np.nan)
        both[:, 0] = layouts.curve(24, seeds[target])
        first = 3 if target == "valence" else 0
        both[first:20, 1] = layouts.curve(20, seeds[target] + 0.1)[first:]
        expected = gold_standard.gold_standard(np.round(both, 6))
        np.testing.assert_allclose(gold[:, column], expected, atol=1e-6)
    assert np.isfinite(gold).all()


def test_a_gap_in_a_trace_is_missing(folder, tmp_path):
    for rater in (1, 2):
        edit(trace(folder, rater=rater), lambda lines: [*lines[:10], "3.00 0.5", "3.02 0.4"])
    times, gold = read(folder)
    np.testing.assert_array_equal(np.isfinite(gold[:, 0]), (times < 0.2) | (times > 2.985))


def test_no_user_is_in_two_splits(tiny_video, tmp_path):
    users = {str(n): str(n // 3) for n in range(1, 16)}
    folder = layouts.semaine(tmp_path / "semaine", tiny_video, users=users, lengths=(3,))
    split_sources = sources(folder)
    splits_of = {}
    for split, part in split_sources.items():
        for source in part:
            splits_of.setdefault(users[source.name], set()).add(split)
    assert all(len(splits) == 1 for splits in splits_of.values())
    assert [len(split_sources[split]) for split in ("train", "dev", "test")] == [9, 3, 3]
    assert sorted(s.name for part in split_sources.values() for s in part) == sorted(users)


def test_named_sessions_are_used_as_named(folder, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        split_sources = sources(folder, partitions={"train": ("1",), "dev": ("2", "14")})
    assert [source.name for source in split_sources["dev"]] == ["2", "14"]
    assert split_sources["train"][0].video.name == "2008.12.05.16.03.15_User_AV_lowQ_Poppy.avi"
    assert "people who are in more than one of train, dev and test: 3;" in caplog.text


def test_sessions_without_video_or_ratings_are_left_out_and_reported(folder, tmp_path, caplog):
    next((folder / "Sessions/2").glob("*User*")).unlink()
    xml = folder / "Sessions/13/session.xml"
    xml.write_text(xml.read_text().replace("TUCPoDV", "TOCPoDV"))
    with caplog.at_level(logging.WARNING, logger="absl"):
        split_sources = sources(folder)
    assert sorted(s.name for part in split_sources.values() for s in part) == ["1", "14"]
    assert "leaving out 1 of 4 sessions, which have no video ?*User?*.avi: 2" in caplog.text
    assert "leaving out 1 of 4 sessions, which have no ratings of valence: 13" in caplog.text
    for name, reason in [("2", "no video"), ("13", "no ratings of valence")]:
        with pytest.raises(errors.InputError, match=f"Sessions/{name}: the session has {reason}"):
            sources(folder, partitions={"train": (name,), "dev": ("14",)})
    for name in ("1", "14"):
        next((folder / "Sessions" / name).glob("*User*")).unlink()
    with pytest.raises(errors.InputError, match="none of the 4 sessions can be used; they have no"):
        sources(folder)


def test_one_of_several_videos_is_chosen_by_a_pattern(folder, tmp_path):
    other = folder / "Sessions/1/2008_User_Profile.avi"
    other.touch()
    with pytest.raises(errors.InputError, match="2 files match .*User_Profile.*`video_pattern`"):
        sources(folder, partitions=TWO)
    (folder / "Sessions/13/2008_User_Profile.avi").touch()
    split_sources = sources(folder, partitions=TWO, video_pattern="*Profile.avi")
    assert split_sources["train"][0].video == other


def test_a_missing_trace_is_named(folder, tmp_path):
    trace(folder).unlink()
    with pytest.raises(errors.InputError, match=r"missing files: 1\n.*R1S1TUCPoDV\.txt"):
        sources(folder, partitions=TWO)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<session><subject", "session.xml: cannot be read as XML"),
        ("", "cannot be read as XML"),
        ('<?xml version="1.0" encoding="klingon"?><session/>', "cannot be read as XML"),
        ('<session><subject id="2" role="Operator"/></session>', 'no <subject role="User"'),
        ('<session><subject role="User"/></session>', 'no <subject role="User"'),
    ],
)
def test_bad_xml_is_named(text, reason, folder, tmp_path):
    (folder / "Sessions/1/session.xml").write_text(text)
    with pytest.raises(errors.InputError, match=reason):
        sources(folder)


def test_without_sessions_the_error_names_what_is_missing(folder, tmp_path):
    with pytest.raises(errors.InputError, match="Sessions: none of its folders has a session.xml"):
        sources(tmp_path)
    with pytest.raises(errors.InputError, match=r"Sessions/77/session\.xml: cannot be read"):
        sources(folder, partitions={"train": ("77",), "dev": ("1",)})


@pytest.mark.parametrize(
    "vary",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace(".", ","),
        lambda text: text.replace(" ", "   ").rstrip(),
    ],
)
def test_harmless_variants_of_a_trace_are_read(vary, folder, tmp_path):
    expected = read(folder)[1]
    path = trace(folder)
    path.write_text(vary(path.read_text()), encoding="utf-8", newline="")
    np.testing.assert_array_equal(read(folder)[1], expected)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0.02 0.5", r"line 4: time 0\.02 follows 0\.04; expected seconds"),
        ("0.04 0.5", r"line 4: time 0\.04 follows 0\.04"),
        ("-1 0.5", r"line 4: time -1"),
        ("90000 0.5", r"line 4: time 90000"),
        ("nan 0.5", r"line 4: time nan"),
        ("0.06;0.5", r"line 4: 1 cells in '0\.06;0\.5'; expected 2"),
        ("0.06 inf", r"line 4, column 2: found 'inf'"),
        ("0.06", r"line 4: 1 cells in '0\.06'; expected 2"),
        ("0.06 50", r"valence ranges from -?0\.\d+ to 50; expected ratings from -1 to 1"),
    ],
)
def test_a_damaged_trace_is_named(line, reason, folder, tmp_path):
    edit(trace(folder), lambda lines: [*lines[:3], line, *lines[4:]])
    with pytest.raises(errors.InputError, match=rf"R1S1TUCPoDV\.txt.*{reason}"):
        read(folder)


def test_missing_values_of_a_trace_are_left_out(folder, tmp_path):
    edit(trace(folder), lambda lines: [*lines[:3], "0.06 NaN", *lines[4:]])
    assert np.isfinite(read(folder)[1]).all()
