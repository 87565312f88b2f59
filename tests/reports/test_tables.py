"""Tables as CSV, text, Markdown and JSON."""

import csv
import json
import math
import os

import pandas
import pytest

from ast_net.reports import tables

ROWS = [
    {"name": "P1", "cc": 0.12345, "face": True, "frames": 3, "delay": -0.00001},
    {"name": "Zoë, 2", "cc": math.nan, "face": False, "frames": None, "delay": 10.0},
]


@pytest.mark.parametrize(
    ("digits", "first", "second"),
    [
        (4, "P1,0.1235,1,3,0.0000", '"Zoë, 2",,0,,10.0000'),
        (None, "P1,0.12345,1,3,-1e-05", '"Zoë, 2",,0,,10.0'),
        ({"cc": 1}, "P1,0.1,1,3,-1e-05", '"Zoë, 2",,0,,10.0'),
    ],
)
def test_csv_has_the_given_digits_and_empty_cells(tmp_path, digits, first, second):
    path = tmp_path / "new" / "t.csv"
    tables.write(path, iter(ROWS), digits)
    assert path.read_bytes().decode("utf-8").split("\r\n") == [
        "name,cc,face,frames,delay",
        first,
        second,
        "",
    ]
    assert list(path.parent.iterdir()) == [path]


def test_pandas_reads_a_table_with_decimal_commas_as_excel_does(tmp_path):
    path = tmp_path / "t.csv"
    with tables.csv_writer(path, list(ROWS[0]), 4, decimal_comma=True) as write_row:
        for row in ROWS:
            write_row(row)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfname;cc;"), "Excel reads UTF-8 only with it"
    table = pandas.read_csv(path, sep=";", decimal=",", encoding="utf-8-sig")
    assert table["name"].tolist() == ["P1", "Zoë, 2"]
    assert table["delay"].tolist() == [0.0, 10.0] and table["frames"][0] == 3
    assert table["cc"][0] == 0.1235 and math.isnan(table["cc"][1])


def test_full_precision_reads_back_equal(tmp_path, rng):
    rows = [{"epoch": epoch, "loss": value} for epoch, value in enumerate(rng.normal(size=9))]
    tables.write(tmp_path / "t.csv", rows, digits=None)
    with (tmp_path / "t.csv").open() as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == [r["loss"] for r in rows]


def test_a_row_with_other_columns_is_refused_and_the_old_file_kept(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("old")
    with (
        pytest.raises(ValueError, match="expected the columns"),
        tables.csv_writer(path, "ab") as write,
    ):
        write({"b": 1, "a": 2})
        write({"a": 1, "c": 2})
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_no_cell_becomes_a_formula_and_bytes_that_are_not_utf_8_stay_as_they_are(tmp_path):
    names = ["=1+1", "+1", "-x.mp4", "@sum", "a=b", os.fsdecode(b"caf\xe9.mp4")]
    tables.write(tmp_path / "t.csv", [{"name": name, "value": -1.0} for name in names], 1)
    lines = (tmp_path / "t.csv").read_bytes().split(b"\r\n")[1:-1]
    assert [line.removesuffix(b",-1.0") for line in lines] == [
        b"'=1+1",
        b"'+1",
        b"'-x.mp4",
        b"'@sum",
        b"a=b",
        b"caf\xe9.mp4",
    ]


def test_text_is_aligned_right():
    assert tables.text(ROWS, digits=2).splitlines() == [
        "  name    cc  face  frames  delay",
        "    P1  0.12     1       3   0.00",
        "Zoë, 2   n/a     0     n/a  10.00",
    ]


def test_text_leaves_out_columns_without_a_value():
    rows = [{"a": 1, "b": None, "c": math.nan}, {"a": 2, "b": math.nan, "c": 0.5}]
    assert tables.text(rows, digits=1).splitlines() == ["a    c", "1  n/a", "2  0.5"]


def test_json_has_null_for_nan(tmp_path):
    tables.write_json(tmp_path / "t.json", {"rows": ROWS, "deep": {"values": (1, [math.nan])}})
    document = json.loads((tmp_path / "t.json").read_text())
    assert document["rows"][0] == ROWS[0]
    assert document["rows"][1]["cc"] is None
    assert document["deep"] == {"values": [1, [None]]}


def test_markdown_has_a_line_for_each_row():
    rows = [{"loss": "La", "CC": 0.25, "n": 3}, {"loss": "T", "CC": None, "n": 10}]
    expected = "| loss | CC | n |\n| --- | --- | --- |\n| La | 0.2500 | 3 |\n| T |  | 10 |"
    assert tables.markdown(rows) == expected
