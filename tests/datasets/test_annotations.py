"""Reading rating files, and resampling ratings to frames."""

from unittest import mock

import numpy as np
import pytest
from absl import logging
from hypothesis import given
from hypothesis import strategies as st

from ast_net import errors
from ast_net.datasets import annotations

HEADER = "time;FM1;FM2;FM3;FF1;FF2;FF3"


def write(path, text, **kwargs):
    path.write_text(text, encoding="utf-8", newline="", **kwargs)
    return path


def test_reads_a_file_in_recola_s_format(tmp_path):
    lines = ["time;FM1 ;FM2; FM3;FF1;FF2;FF3 "]
    lines += [f"{0.04 * k:.2f};{k / 7600:.4f};0.5;-0.25; ;NaN;-1" for k in range(7600)]
    path = write(tmp_path / "P16.csv", "\ufeff" + "\r\n".join(lines) + "\r\n\r\n")
    ratings = annotations.read_ratings(path)
    assert ratings.raters == ("FM1", "FM2", "FM3", "FF1", "FF2", "FF3")
    assert ratings.values.shape == (7600, 6) and ratings.values.dtype == np.float64
    np.testing.assert_allclose(ratings.times, np.arange(7600) / 25, atol=1e-12)
    np.testing.assert_allclose(ratings.values[:, 0], np.arange(7600) / 7600, atol=5.1e-5)
    np.testing.assert_allclose(ratings.values[3040], [0.4, 0.5, -0.25, np.nan, np.nan, -1])


PLAIN = "time;FM1;FM2\n0;0.5;-0.25\n0.04;;1\n0.08;1;1\n"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace(";", ","),
        PLAIN.replace(";", "\t"),
        PLAIN.replace(";", " ; "),
        PLAIN.replace(".", ","),
        PLAIN.replace(".", ",").replace(";", "\t"),
        PLAIN.replace("0.5", "+5e-1").replace("-0.25", "-.25"),
        PLAIN.replace("0.5", '"0.5"').replace("FM1", '"FM1"'),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN.replace("\n", "\n\n").rstrip(),
        "\ufeff" + PLAIN,
        PLAIN.replace("time", " Time ").replace("FM1", "FM1\t"),
        PLAIN.replace("\n", ";\n"),
        PLAIN.replace("1\n", "1;;\n") + ";;\n",
        PLAIN.replace(";;", ";NaN;"),
        PLAIN.replace(";;", ";N/A;"),
        PLAIN.replace("0.04;;1\n", "0.04;;1\n0.04;;1\n"),
        PLAIN.replace("1\n", "1.0000001\n"),
        "FM1;time;FM2\n0.5;0;-0.25\n;0.04;1\n1;0.08;1\n",
        pytest.param(PLAIN.encode("utf-16"), id="utf-16"),
    ],
)
def test_unambiguous_variants_of_the_format_are_read(tmp_path, text):
    path = tmp_path / "P16.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    ratings = annotations.read_ratings(path)
    assert ratings.raters == ("FM1", "FM2")
    np.testing.assert_array_equal(ratings.times, [0, 0.04, 0.08])
    np.testing.assert_array_equal(ratings.values, [[0.5, -0.25], [np.nan, 1], [1, 1]])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty"),
        ("\n ; ;\n", "empty"),
        (HEADER + "\n", "no rows"),
        ("time;\n0;\n", "no column except time"),
        ("FM1;FM2\n0;1\n", "found the header 'FM1;FM2'; expected a header with time"),
        ("0;0.5\n0.04;1\n", "found the header '0;0.5'; expected a header with time"),
        ("time;time;FM1\n0;0;1\n", "2 columns are named time"),
        ("time|FM1\n0|1\n", "found the header 'time|FM1'"),
        ("time;FM1;FM1\n0;1;1\n", "a different name for each rater"),
        ("time;FM1;\n0;1;1\n", "a different name for each rater"),
        ("time;FM1;FM2\n0;0.1;0.2\n0.04;0.1;high\n", "line 3, column FM2: found 'high'"),
        (
            "time;FM1\n0;0,5\n0.04;1\n",
            "line 3, column time: found decimal points and decimal commas",
        ),
        ("time;FM1\n0;1.234,5\n", "line 2, column FM1: found '1.234,5'"),
        ("time,FM1\n0,04,0,5\n", "line 2: 4 cells; expected 2"),
        ("time;FM1\n0;inf\n", "line 2, column FM1: found 'inf'"),
        ("time;FM1\n0;1e999\n", "line 2, column FM1: found '1e999'"),
        ("time;FM1\n0;1_0\n", "line 2, column FM1: found '1_0'"),
        (
            "time;FM1\n0;1\n0.04;-1.5\n",
            "line 3, column FM1: found -1.5, expected a rating in [-1, 1]",
        ),
        ("time;FM1\n\n0;1\nsoon;1\n", "line 4, column time: found 'soon'"),
        ("time;FM1\n0;1\n;1\n", "line 3: time nan follows 0"),
        ("time;FM1\n-1;1\n", "line 2: time -1; expected seconds since the start"),
        ("FM1;time\n0;1\n0.04;0.9\n0.08;0.9\n", "line 3: time 0.9 follows 1"),
        ("time;FM1\n0;1\n40;1\n80;1\n", "ratings are 40 apart; expected times in seconds: if"),
        ("frame;FM1\n0;1\n1;1\n", "expected a column time, in seconds: divide the frame numbers"),
        ("time_ms;time_ms;FM1\n0;0;1\n", "2 columns are named time_ms"),
        (
            "time;FM1\n0:00:00;1\n0:00:75;1\n",
            "line 3, column time: found '0:00:75', expected hours",
        ),
        ("time;FM1\n0:00:00;1\n0.04;1\n", "line 3, column time: found '0.04', expected hours"),
        ("time;FM1\n00:00;1\n00:01;1\n", "line 2, column time: found '00:00', expected hours"),
        ("time;FM1\n0;1;2\n", "line 2: 3 cells; expected 2"),
        ("time;FM1;FM2\n0;1;1\n0.04;1\n", "line 3: 2 cells; expected 3"),
        ("time;FM1\n0;1\n0.08;1\n0.04;1\n", "line 4: time 0.04 follows 0.08"),
        ("time;FM1\n0;1\n0.04;1\n0.04;0.9\n", "line 4: time 0.04 follows 0.04"),
        ('time;FM1\n0;"0.1"5\n', "line 2: "),
        ('time;FM1\n0;1\n0;"1\n0.04;1\n', "line 3: "),
        ('time;FM1\n0;"1\n0.04";1\n', "line 2: a quote is opened in this line and not closed"),
    ],
)
def test_errors_name_the_problem_and_its_place(tmp_path, text, expected):
    path = write(tmp_path / "P16.csv", text)
    with pytest.raises(errors.InputError) as raised:
        annotations.read_ratings(path)
    assert expected in str(raised.value) and str(path) in str(raised.value)


def test_errors_name_a_file_that_is_missing_or_not_text(tmp_path):
    with pytest.raises(
        errors.InputError, match="P99.csv: cannot be read as UTF-8 text .No such file"
    ):
        annotations.read_ratings(tmp_path / "P99.csv")
    with pytest.raises(errors.InputError, match="cannot be read"):
        annotations.read_ratings(tmp_path)
    path = tmp_path / "P16.csv"
    for content in (b"\x00\x00\x00\x1cftypisom\xff\xfe" * 9, b"time;FM1\n0;\0", b"\xff\xfea"):
        path.write_bytes(content)
        with pytest.raises(errors.InputError, match="P16.csv: cannot be read as UTF-8 text"):
            annotations.read_ratings(path)


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("Seconds", ("3599.5", "3600", "3601.25")),
        ("time_s", ("3599.5", "3600", "3601.25")),
        ("timestamp", ("3599.5", "3600", "3601.25")),
        ("Time_ms", ("3599500", "3600000", "3601250")),
        ("milliseconds", ("3599500", "3600000", "3601250")),
        ("hh:mm:ss", ("0:59:59.5", "1:00:00", "1:00:01.25")),
        ("time", ("00:59:59.500", "01:00:00.000", "01:00:01.250")),
        ("time", ("0:59:59,5", "1:00:00", "1:00:01,25")),
    ],
)
def test_times_are_read_in_the_unit_of_their_column(tmp_path, name, times):
    rows = [f"{time};{value}" for time, value in zip(times, ("-1", "0", "1"))]
    path = write(tmp_path / "P16.csv", "\n".join([f"{name};FM1", *rows]))
    ratings = annotations.read_ratings(path)
    np.testing.assert_allclose(ratings.times, [3599.5, 3600, 3601.25], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(ratings.values[:, 0], [-1, 0, 1])


def test_of_several_columns_of_times_seconds_are_read_first(tmp_path):
    path = write(tmp_path / "anna.csv", "frame,time_ms,time,valence\n0,0,0,1\n1,40,0.04,0\n")
    table, time = annotations.read_timed(path)
    assert (table.names[time], time) == ("time", 2)


def test_warns_of_repeated_rows(tmp_path):
    path = write(tmp_path / "P16.csv", "time;FM1\n0;1\n0;1\n0.04;NaN\n0.04;\n")
    with mock.patch.object(logging, "warning") as warning:
        assert len(annotations.read_ratings(path).times) == 2
    assert warning.call_args.args == (f"{path}: 2 repeated rows are ignored",)


def test_resampling_is_exact_where_frames_and_ratings_coincide(rng):
    times = np.array([float(f"{0.04 * k:.2f}") for k in range(1000)])
    values = rng.uniform(-1, 1, (1000, 2))
    values[10:20, 0] = np.nan
    result = annotations.resample(times, values, np.arange(1000) / 25, max_gap=0.1)
    np.testing.assert_allclose(result, values, rtol=0, atol=1e-12)


def test_interpolates_by_time_not_by_index():
    times, values = np.array([0.0, 0.04, 0.10, 0.14]), np.array([0.0, 0.4, 1.0, 0.2])
    frames = np.array([0.01, 0.05, 0.07, 0.12, 0.14])
    result = annotations.resample(times, values, frames, max_gap=0.2)
    np.testing.assert_allclose(result, [0.1, 0.5, 0.7, 0.6, 0.2], atol=1e-12)


def test_a_rating_holds_for_half_a_step_at_the_ends():
    times, values = np.array([1.0, 1.2, 1.4]), np.array([[5.0], [6.0], [7.0]])
    frames = np.array([0.89, 0.9, 0.95, 1.4, 1.45, 1.5, 1.51])
    result = annotations.resample(times, values, frames, max_gap=1.0)
    np.testing.assert_array_equal(result[:, 0], [np.nan, 5, 5, 7, 7, 7, np.nan])


def test_a_missing_rating_is_a_gap_in_its_column_only():
    times = np.arange(6) * 0.1
    values = np.array(
        [[0, np.nan], [1, np.nan], [np.nan, np.nan], [3, 3], [np.nan, 4], [np.nan, 5]]
    )
    frames = np.array([0.1, 0.149, 0.16, 0.2, 0.25, 0.3, 0.349, 0.36])
    bridged = annotations.resample(times, values, frames, max_gap=0.2)
    np.testing.assert_allclose(bridged[:, 0], [1, 1.49, 1.6, 2, 2.5, 3, 3, 3], atol=1e-12)
    open_gap = annotations.resample(times, values, frames, max_gap=0.15)
    np.testing.assert_allclose(open_gap[:, 0], [1, 1, 1, np.nan, 3, 3, 3, 3], atol=1e-12)
    np.testing.assert_allclose(open_gap[:3, 1], np.nan)
    np.testing.assert_allclose(open_gap[4:, 1], [3, 3, 3.49, 3.6], atol=1e-12)


def loop_resample(times, values, frame_times, max_gap, reach):
    """Implements the description of `resample`, one frame at a time."""
    rated = [(t, v) for t, v in zip(times, values) if not np.isnan(v)]
    result = []
    for f in frame_times:
        before = [r for r in rated if r[0] <= f]
        after = [r for r in rated if r[0] >= f]
        if before and after and after[0][0] - before[-1][0] <= max_gap + 1e-6:
            (t0, v0), (t1, v1) = before[-1], after[0]
            result.append(v0 if t0 == t1 else v0 + (v1 - v0) * (f - t0) / (t1 - t0))
            continue
        distance, value = min(((abs(f - t), v) for t, v in rated), default=(np.inf, np.nan))
        result.append(value if distance <= reach + 1e-6 else np.nan)
    return np.array(result)


@given(
    steps=st.lists(st.sampled_from([1, 2, 3, 7]), min_size=1, max_size=12),
    missing=st.sets(st.integers(0, 12)),
    frames=st.lists(st.integers(-9, 90), max_size=8),
    max_gap=st.sampled_from([0.5, 2.5, 4.5, 100.0]),
)
def test_equals_a_loop_over_frames(steps, missing, frames, max_gap):
    times = np.concatenate([[0.0], np.cumsum(steps)])
    values = np.sin(times * 3.7)
    values[[k for k in missing if k < len(values)]] = np.nan
    # No frame coincides with a rating or is equally far from two.
    frame_times = np.array(frames, np.float64) + 0.23
    result = annotations.resample(times, values, frame_times, max_gap)
    rated_steps = np.diff(times[~np.isnan(values)])
    step = max(np.median(steps), np.median(rated_steps) if len(rated_steps) else 0)
    expected = loop_resample(times, values, frame_times, max_gap, min(step, max_gap) / 2)
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_the_result_has_the_ratings_shape():
    times = np.arange(3.0)
    assert annotations.resample(times, np.zeros(3), np.zeros(5), 1.0).shape == (5,)
    assert annotations.resample(times, np.zeros((3, 6)), np.zeros(5), 1.0).shape == (5, 6)
    assert annotations.resample(times, np.zeros((3, 6)), np.zeros(0), 1.0).shape == (0, 6)
    one = annotations.resample(np.array([0.5]), np.array([7.0]), np.array([0.4, 0.5]), 1.0)
    np.testing.assert_array_equal(one, [np.nan, 7])


def test_refuses_shapes_that_do_not_agree():
    with pytest.raises(ValueError, match="expected times"):
        annotations.resample(np.arange(3.0), np.zeros(4), np.arange(3.0), 1.0)


def test_columns_rated_alternately_have_their_own_step():
    """Two targets, each rated every 2 s, in turn: a rating holds for more than half a second."""
    times = np.arange(20.0)
    values = np.full((20, 2), np.nan)
    values[::2, 0], values[1::2, 1] = 0.5, -0.5
    frames = np.arange(25, 450) / 25
    result = annotations.resample(times, values, frames, 1.5)
    for column in range(2):
        distance = np.abs(frames[:, np.newaxis] - times[column::2]).min(axis=1)
        expected = np.where(distance <= 0.75 + 1e-9, 0.5 - column, np.nan)
        np.testing.assert_array_equal(result[:, column], expected)


def test_sparse_ratings_hold_for_at_most_half_of_max_gap():
    times, values = np.arange(5) * 5.0, np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    frames = np.arange(0, 501) / 25
    result = annotations.resample(times, values, frames, max_gap=1.0)
    nearest = np.rint(frames / 5).astype(int)
    expected = np.where(np.abs(frames - 5 * nearest) <= 0.5, values[nearest], np.nan)
    np.testing.assert_array_equal(result, expected)
    assert np.isfinite(result).sum() == 2 * 13 + 3 * 25
    whole = annotations.resample(times, values, frames, max_gap=5.0)
    np.testing.assert_allclose(whole, 0.1 + frames / 50, atol=1e-12)
