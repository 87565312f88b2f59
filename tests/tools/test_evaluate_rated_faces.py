"""Evaluation of rated faces, with grey pictures and a model that sees only their brightness."""

import json

import cv2
import evaluate_rated_faces
import numpy as np
import pytest

from ast_net.cnn import expression_head
from ast_net.faces import alignment, detection


class Detector:
    """Finds one face in every picture but the black ones."""

    def detect(self, image):
        face = detection.Face(np.array([1, 1, 9, 9], np.float32), 1.0, np.zeros((5, 2), np.float32))
        return [face] if image.any() else []


@pytest.fixture(autouse=True)
def model(monkeypatch):
    """Its valence is the brightness, half of it in the first frame; arousal is 0.1 less."""
    head = expression_head.build(1, ("angry", "happy"))
    # Happy is likelier from a brightness of 0.5 on.
    head.network.set_weights([np.array([[0.0, 10.0]]), np.array([0.0, -5.0])])

    def values(features):
        valence = np.repeat(features, 2, axis=-1) - np.array([0, 0.1])
        valence[:, 0] /= 2
        return valence

    made = evaluate_rated_faces.Model(
        lambda faces: faces[:, 0, 0, :1].astype(np.float32) / 250, head, values, 10
    )
    monkeypatch.setattr(evaluate_rated_faces, "load_model", lambda workdir: made)
    monkeypatch.setattr(detection, "FaceDetector", Detector)
    monkeypatch.setattr(alignment, "align_face", lambda image, landmarks, settings: image[:8, :8])


def write_picture(path, brightness):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((8, 8, 3), brightness, np.uint8))


def test_the_table_by_hand(tmp_path, capsys):
    rated, smiles = tmp_path / "rated", tmp_path / "smiles"
    lines = ["picture,expression,valence,arousal"]
    for name, brightness, expression, ratings in (
        ("a.png", 50, "angry", (0.3, 0.5)),
        ("b.png", 100, "happy", (0.4, 0.4)),
        ("c.png", 200, "happy", (0.8, 0.3)),
        ("d.png", 0, "happy", (1.0, 1.0)),
    ):
        write_picture(rated / name, brightness)
        # Two people, whose mean this is.
        for difference in (0.1, -0.1):
            lines.append(f"{name},{expression},{ratings[0] + difference},{ratings[1] - difference}")
    (rated / "ratings.csv").write_text("\n".join(lines))
    for person, neutral, smiling in (("1", 50, 150), ("2", 100, 200), ("3", 0, 250)):
        write_picture(smiles / f"{person}_neutral.jpg", neutral)
        write_picture(smiles / f"{person}_smiling.jpg", smiling)
    people = "person,age,gender,ethnicity\n1,30,male,black\n2,40,female,white\n3,50,male,white"
    (smiles / "people.csv").write_text(people)

    evaluate_rated_faces.main([str(tmp_path), f"--output={tmp_path / 'scores.json'}"])
    scores = json.loads((tmp_path / "scores.json").read_text())

    found = scores["rated"]
    assert (found["pictures"], found["faces"]) == (4, 3)
    # 0.2, 0.4, 0.8 for 0.3, 0.4, 0.8: products of deviations add up to 0.16, squares to 0.14 and
    # 0.56 / 3.
    assert found["valence"]["cc"] == pytest.approx(0.16 / np.sqrt(0.14 * 0.56 / 3), rel=1e-4)
    assert found["valence"]["rmse"] == pytest.approx(np.sqrt(0.01 / 3), rel=1e-4)
    assert found["valence"]["within"] == pytest.approx(1.0)
    assert found["arousal"]["cc"] < -0.9
    # The happy face with a brightness of 0.4 is taken for angry.
    assert found["expressions"]["confusion"] == [[1, 0], [1, 1]]

    found = scores["smiles"]
    assert (found["pictures"], found["faces"]) == (6, 5)
    (everybody, *_) = found["smiles"]
    # The third person has no face in one picture.
    assert (everybody["group"], everybody["people"], everybody["auc"]) == ("all", 2, 1.0)
    assert everybody["rise"] == pytest.approx(0.4, abs=0.01)
    assert found["neutral"]["valence"] == pytest.approx(0.3, abs=0.01)
    # A jump; the mean over ten frames, five of them later, is at 80 % two frames after it.
    assert found["response_seconds"] == pytest.approx(2 / 25)
    assert "a face in 3 of 4 pictures" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (None, "", "found no folder with ratings.csv or people.csv"),
        ("ratings.csv", "picture,valence,arousal\na.png,0,0", "missing columns: expression"),
        ("ratings.csv", "picture,expression,valence,arousal\n", "no rows, or"),
        (
            "ratings.csv",
            "picture,expression,valence,arousal\na.png,sad,0,0",
            "a.png: cannot be read",
        ),
        ("people.csv", "person,gender\n1,male", "missing columns: ethnicity"),
    ],
)
def test_says_what_is_wrong(name, text, message, tmp_path):
    if name is not None:
        (tmp_path / "faces").mkdir()
        (tmp_path / "faces" / name).write_text(text)
    with pytest.raises(SystemExit, match=message):
        evaluate_rated_faces.main([str(tmp_path)])
