import threading

import cv2
import pytest

from ast_net import errors
from ast_net.prediction import window


def test_an_opencv_without_windows_is_told_of(monkeypatch):
    def without_windows(*_):
        raise cv2.error("The function is not implemented. Rebuild the library with ...")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", without_windows)
    with (
        pytest.raises(errors.InputError, match="opencv-python-headless"),
        window.opened("talk", threading.Event()),
    ):
        pass
