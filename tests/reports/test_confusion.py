import json

import cv2
import numpy as np
import pytest

from ast_net.reports import confusion

CLASSES = ("a", "b", "c", "d")
LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 2, 1])


def test_table_by_hand():
    table = confusion.tabulate(LABELS, PREDICTED, CLASSES)
    assert table["confusion"] == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert table["pictures"] == 6
    assert table["accuracy"] == pytest.approx(3 / 6)
    # Precision 1 and recall 2/3; precision 1/3 and recall 1/2; nothing right; not there.
    assert table["f1"] == pytest.approx({"a": 4 / 5, "b": 2 / 5, "c": 0, "d": 0})
    assert table["recall"] == pytest.approx({"a": 2 / 3, "b": 1 / 2, "c": 0, "d": 0})
    assert table["macro_f1"] == pytest.approx(0.3)


def test_writes_table_and_figure(tmp_path):
    table = confusion.tabulate(LABELS, PREDICTED, CLASSES)
    confusion.write(tmp_path, table, "title")
    assert json.loads((tmp_path / "metrics.json").read_text()) == table
    figure = cv2.imread(str(tmp_path / "figures" / "confusion.png"))
    assert figure is not None
    assert figure.shape[0] > 400
    assert figure.std() > 20
    assert "accuracy 0.5000, macro F1 0.3000" in confusion.format_table(table)
