"""The notebook tools/tour.ipynb, its cells run one after the other on short videos."""

import json
import pathlib
import re

import matplotlib.pyplot as plt
import pandas
import pytest
from calls import eagerly

from ast_net.demo import synthesis
from ast_net.reports import evaluation_figures

NOTEBOOK = pathlib.Path(__file__).parents[2] / "tools/tour.ipynb"
CELLS = json.loads(NOTEBOOK.read_text())["cells"]


def code() -> str:
    """Returns the code of all cells, for 20 frames of video and one epoch."""
    cells = ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]
    text, changes = re.subn(
        r"^(SECONDS, RATE, DELAY, CLIP_FRAMES, EPOCHS) = .*",
        r"\1 = 2, 10, 0.0, 5, 1",
        "\n".join(cells),
        flags=re.MULTILINE,
    )
    assert changes == 1
    # Jupyter's commands are no Python.
    return re.sub("^( *)%.*", r"\1raise", text, flags=re.MULTILINE)


def test_it_goes_from_a_video_to_a_model(tmp_path, monkeypatch, caplog, drifting_face):
    images = drifting_face([True] * 20)
    # The same for all names but two, so that its face is tracked three times only.
    darker = {"dora": 1, "emil": 2}

    def film(name, settings):
        return [image - darker.get(name, 0) for image in images]

    monkeypatch.setattr(synthesis, "film", film)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation_figures, "write", lambda *_: None)
    plt.switch_backend("Agg")
    names: dict = {}
    with eagerly():
        exec(compile(code(), str(NOTEBOOK), "exec"), names)
    assert len(names["table"]) == 20 and names["table"]["valid"].all()
    assert names["frame"].time == pytest.approx(0.5)
    assert names["run"] == pathlib.Path("tour/run")
    assert names["metrics"]["split"] == "test"
    assert 0 < names["scores"]["average"]["rmse"]["mean"] < 2
    written = pandas.read_csv(tmp_path / "tour/recordings.csv")
    assert list(written["split"]) == [*["train"] * 3, "dev", "test"]
    assert len(plt.get_fignums()) == 4
    assert "deprecated" not in caplog.text, "TensorFlow Datasets speaks of itself"
    plt.close("all")


def test_it_has_no_outputs_and_says_what_to_install():
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in CELLS)
    assert any("%pip install" in "".join(cell["source"]) for cell in CELLS)
