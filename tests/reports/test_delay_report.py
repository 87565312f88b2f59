"""The report of the search for the reaction delay."""

import csv

import numpy as np

from ast_net.records import reaction_delay
from ast_net.reports import delay_report


def test_the_curve_is_printed_and_written_as_csv_and_figure(tmp_path, capsys):
    cc = np.array([[0.1, np.nan], [0.4, np.nan]])
    search = reaction_delay.DelaySearch(
        np.array([0.0, 0.2]), cc, np.array([0.2, 0.0]), np.array([True, False]), 3, 400
    )
    delay_report.report(tmp_path / "curve", search, ("valence", "arousal"))
    with (tmp_path / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["delay_s"] for row in rows] == ["0.0", "0.2"]
    assert [float(row["valence_cc"]) for row in rows] == [0.1, 0.4]
    assert (tmp_path / "curve.png").stat().st_size > 1000
    printed = capsys.readouterr().out
    assert "reaction delay: valence 0.2 s, arousal 0.0 s (found on 400 frames of 3" in printed
    assert "0.400*" in printed and "0.100 " in printed
    assert "arousal: the features do not predict" in printed
    assert "valence: the features" not in printed
    assert "only 3 recordings" in printed
