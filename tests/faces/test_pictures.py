"""Tests pictures that are too large, and those of other types than their names say."""

import struct
import zlib

import cv2
import numpy as np
import PIL.Image
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


_ALPHA = {"RGBA": 128, "LA": 128}


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        *[(mode, ".png") for mode in ("RGB", "RGBA", "L", "LA", "P", "I;16")],
        *[(mode, ".tif") for mode in ("RGB", "CMYK", "L", "I;16")],
        *[("RGB", ".webp"), ("RGBA", ".webp"), ("L", ".jpg"), ("CMYK", ".jpg")],
    ],
)
def test_any_mode_becomes_rgb(mode, suffix, tmp_path):
    """Compared with what Pillow makes of it; alpha is left out."""
    image = PIL.Image.fromarray(np.repeat(np.uint8([[[200, 60, 20]], [[20, 80, 160]]]), 8, axis=1))
    image = image.resize((16, 12), PIL.Image.Resampling.NEAREST)
    if mode == "I;16":
        image = image.convert("L")
        stored = PIL.Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    else:
        stored = image.convert(mode)
    if mode in _ALPHA:
        stored.putalpha(_ALPHA[mode])
    path = tmp_path / f"a{suffix}"
    stored.save(path, **({"lossless": True} if suffix == ".webp" else {}))
    expected = image if mode == "I;16" else stored
    difference = pictures.read(path).astype(int) - np.asarray(expected.convert("RGB"))
    # JPEG decoders round differently, and so do conversions from and to CMYK.
    assert np.abs(difference).max() <= (6 if suffix == ".jpg" or mode == "CMYK" else 1)


def test_an_animated_picture_is_its_first_frame(tmp_path):
    first, second = (PIL.Image.new("RGB", (16, 12), (level, 0, 0)) for level in (90, 200))
    first.save(tmp_path / "a.webp", save_all=True, append_images=[second], lossless=True)
    assert pictures.read(tmp_path / "a.webp").tolist() == np.asarray(first).tolist()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".tif"])
def test_what_was_written_is_read_again(suffix, tmp_path, rng):
    path = tmp_path / f"a{suffix}"
    image = np.repeat(np.repeat(rng.integers(0, 255, (3, 4, 3), np.uint8), 16, 0), 16, 1)
    pictures.write(path, image)
    difference = np.abs(pictures.read(path).astype(int) - image)
    assert difference.mean() < (4 if suffix in (".jpg", ".webp") else 0.001)
