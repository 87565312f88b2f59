"""Tests pictures that are too large, and those of other types than their names say."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from ast_net import errors
from ast_net.faces import pictures, video_frame


def black_png(width: int, height: int) -> bytes:
    """A black picture of 1 bit a pixel, which takes a thousandth of its size in memory."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("side", [8001, 30000])
def test_pictures_that_are_too_large_are_not_decoded(tmp_path, monkeypatch, side):
    (tmp_path / "small.png").write_bytes(black_png(16, 12))
    assert not pictures.read(tmp_path / "small.png").any()
    path = tmp_path / "large.png"
    path.write_bytes(black_png(side, side))
    monkeypatch.delattr(cv2, "imdecode")
    with pytest.raises(errors.InputError, match=f"{path}.*expected at most 64,000,000 pixels"):
        pictures.read(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp"])
def test_any_format_has_the_largest_size(tmp_path, monkeypatch, suffix):
    path = tmp_path / "a.png"  # whatever its name says
    path.write_bytes(cv2.imencode(suffix, np.full((12, 16, 3), 90, np.uint8))[1].tobytes())
    monkeypatch.setattr(video_frame, "MAX_PIXELS", 12 * 16)
    assert pictures.read(path).shape == (12, 16, 3)
    assert pictures.read(path, cv2.IMREAD_GRAYSCALE).shape == (12, 16)
    monkeypatch.setattr(video_frame, "MAX_PIXELS", 12 * 16 - 1)
    with pytest.raises(errors.InputError, match="found pictures of 16x12 pixels"):
        pictures.read(path)
