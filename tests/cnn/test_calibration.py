import cv2
import numpy as np

from ast_net.cnn import calibration


def test_the_faces_are_aligned_and_unlike(detector):
    faces = calibration.faces()
    assert (faces.shape, faces.dtype) == ((64, 224, 224, 3), np.uint8)
    # As in a picture: MTCNN finds no face that fills it.
    pictures = np.pad(faces, ((0, 0), (80, 80), (80, 80), (0, 0)), mode="edge")
    found = [some[0] for some in map(detector.detect, pictures) if some]
    assert len(found) >= 60
    eyes = np.array([face.landmarks[:2] for face in found]) - 80
    np.testing.assert_allclose(np.median(eyes, axis=0), [[75, 90], [148, 90]], atol=3)
    brightness = faces.mean(axis=(1, 2, 3))
    assert brightness.min() < 70 and brightness.max() > 150
    assert len(np.unique(faces.reshape(64, -1), axis=0)) == 64


def test_a_mosaic_is_what_is_read_back(monkeypatch, tmp_path):
    faces = calibration.faces()
    monkeypatch.setattr(calibration, "FILE", tmp_path / "mosaic.png")
    mosaic = calibration.mosaic(faces)
    assert mosaic.shape == (896, 896, 3)
    cv2.imwrite(str(calibration.FILE), cv2.cvtColor(mosaic, cv2.COLOR_RGB2BGR))
    calibration.faces.cache_clear()
    again = calibration.faces()
    calibration.faces.cache_clear()
    assert np.abs(again.astype(int) - faces).mean() < 2
