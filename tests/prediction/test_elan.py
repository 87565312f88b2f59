"""ELAN's annotations against means by hand, read with an XML parser."""

from xml.etree import ElementTree

import numpy as np
import pytest

from ast_net.faces import detection
from ast_net.prediction import elan, frames

FACE = detection.Face(np.array([1, 2, 3, 4], np.float32), 0.99, np.zeros((5, 2), np.float32))
TARGETS = ("valence", "arousal")


def frame(time, **values):
    """Makes a frame; values: smooth valence and arousal of each face; None if it is not visible."""
    faces = []
    for name, smooth in values.items():
        face_id = int(name.removeprefix("face_"))
        seen = FACE if smooth else None
        smooth = np.array(smooth or (9, 9), np.float32)
        faces.append(frames.FacePrediction(face_id, seen, smooth, smooth))
    return frames.FramePrediction(0, time, faces)


def test_an_annotation_is_the_mean_of_a_second(tmp_path):
    video = tmp_path / "a talk, é.mp4"
    with elan.writer(tmp_path / "elan.eaf", TARGETS, video) as write:
        write(frame(0.0, face_0=(0.1, -0.5)))
        write(frame(0.9, face_0=(0.3, -0.7), face_12=(0.2, 0.2)))
        write(frame(1.5, face_0=None))  # held, not visible
        write(frame(1.7, face_0=(float("nan"), 0.0)))
        write(frame(2.2, face_0=(-0.25, 0.75)))
        assert not (tmp_path / "elan.eaf").exists()
    root = ElementTree.parse(tmp_path / "elan.eaf").getroot()
    times = {
        slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE"))
        for slot in root.find("TIME_ORDER").findall("TIME_SLOT")
    }
    assert list(times.values()) == sorted(times.values())
    found = {
        tier.get("TIER_ID"): [
            (
                times[annotation.get("TIME_SLOT_REF1")],
                times[annotation.get("TIME_SLOT_REF2")],
                annotation.findtext("ANNOTATION_VALUE"),
            )
            for annotation in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        for tier in root.findall("TIER")
    }
    assert found == {
        "valence, face 0": [(0, 1000, "0.200"), (2000, 3000, "-0.250")],
        "arousal, face 0": [(0, 1000, "-0.600"), (2000, 3000, "0.750")],
        "valence, face 12": [(0, 1000, "0.200")],
        "arousal, face 12": [(0, 1000, "0.200")],
    }
    numbers = [a.get("ANNOTATION_ID") for a in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(numbers)) == len(numbers) == 6
    url = root.find("HEADER/MEDIA_DESCRIPTOR").get("MEDIA_URL")
    assert url == f"file://{tmp_path}/a%20talk%2C%20%C3%A9.mp4"


def test_a_camera_has_no_video_and_an_error_leaves_no_file(tmp_path):
    with elan.writer(tmp_path / "camera.eaf", TARGETS, None):
        pass
    root = ElementTree.parse(tmp_path / "camera.eaf").getroot()
    assert root.find("HEADER/MEDIA_DESCRIPTOR") is None and not root.findall("TIER")
    with (
        pytest.raises(KeyboardInterrupt),
        elan.writer(tmp_path / "stopped.eaf", TARGETS, None),
    ):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["camera.eaf"]
