"""Writes frames to video files, each at its own time."""

import contextlib
import fractions
import math
import os
import pathlib
from collections.abc import Iterable

import av
import av.codec.context
import av.container
import av.video.reformatter
import cv2
import numpy as np

from ast_net import errors, files

# Times are kept to half a tick of the usual clock of MPEG streams.
_TICK = fractions.Fraction(1, 90_000)
_NOMINAL_RATE = 25
# 11 ms of one core for a frame of 1280x720; _REPRODUCIBLE takes twice as long, its file 1.2 times.
_FAST = {"crf": "23", "preset": "ultrafast"}
# Presets that look ahead do not always make the same file from the same pictures.
_REPRODUCIBLE = {"crf": "20", "preset": "superfast"}


def write_video(path: str | os.PathLike, images: Iterable[np.ndarray], frame_rate: float) -> None:
    """Writes an H.264 mp4 with a constant frame rate, whole or not at all.

    Args:
      path: the file.
      images: uint8 RGB [H, W, 3], all of one size, H and W even (colour has half the resolution).
      frame_rate: frames a second.

    Raises:
      InputError: there is no image, or one has another shape or type.
      OSError: the disk is full or read-only.
    """
    with VideoWriter(path, frame_rate) as writer:
        for index, image in enumerate(images):
            writer.write(image, index / frame_rate)


class VideoWriter:
    """Writes an H.264 mp4 frame by frame, each at its own time; a context manager.

    The file appears when the `with` block ends normally; otherwise nothing is left of it. A player
    shows each frame from its timestamp until the next one's, and the last frame as long as the one
    before it. Before a first frame later than 0 there is silence, as players skip an empty start.

    With a frame rate, time is counted in frames, and the same frames always give the same bytes, as
    for generated data sets, whose videos are checked by their digests.
    """

    def __init__(self, path: str | os.PathLike, frame_rate: float | None = None) -> None:
        """Takes the path, and frames a second if the rate is constant; then sizes must be even."""
        self._path = pathlib.Path(path)
        self._frame_rate = frame_rate
        self._shape: tuple[int, ...] = ()
        self._pending: av.VideoFrame | None = None
        self._timestamp = -math.inf
        # The time of the pending frame, and the length of the last one.
        self._tick, self._ticks = -1, 0

    def __enter__(self) -> "VideoWriter":
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(files.whole(self._path))
            # With the index in front, a truncated copy can still be read.
            options = {"movflags": "faststart"}
            if self._frame_rate is None:  # else the first frame's time is rounded to 1 ms
                options["movie_timescale"] = str(_TICK.denominator)
            self._container = av.open(str(temporary), "w", format="mp4", options=options)
            stack.enter_context(self._container)
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error) -> None:
        self._stack.__exit__(*error)

    def write(self, image: np.ndarray, timestamp: float) -> None:
        """Adds a frame.

        Args:
          image: uint8 RGB [H, W, 3], as large as the first one. An odd width or height is made even
            by repeating the last pixels.
          timestamp: seconds, at least 0 and later than the last frame's.

        Raises:
          InputError: the image has another shape or type.
          ValueError: the timestamp is negative, or not later than the last frame's.
          OSError: the disk is full or read-only.
        """
        if not self._shape:
            _check_writable(self._path, image, even=self._frame_rate is not None)
            self._add_streams(image.shape, timestamp)
        if image.shape != self._shape or image.dtype != np.uint8:
            raise errors.InputError(
                f"{self._path}: an image is {image.dtype} {image.shape}, the first uint8 "
                f"{self._shape}; a video needs images of one size"
            )
        if timestamp <= self._timestamp or timestamp < 0:
            raise ValueError(
                f"a frame at {timestamp} s after one at {self._timestamp} s; expected later times, "
                "from 0 on"
            )
        # Frames with the same tick are moved apart.
        tick = max(round(timestamp / self._time_base), self._tick + 1)
        if self._pending is not None:
            self._ticks = tick - self._tick
            self._encode_pending()
        self._pending, self._tick, self._timestamp = self._picture(image), tick, timestamp

    def _add_streams(self, shape: tuple[int, ...], timestamp: float) -> None:
        self._shape = shape
        height, width = (side + side % 2 for side in shape[:2])
        constant = self._frame_rate is not None
        rate = fractions.Fraction(self._frame_rate or _NOMINAL_RATE).limit_denominator(60_000)
        self._time_base = 1 / rate if constant else _TICK
        self._stream = self._container.add_stream(
            "libx264",
            rate,
            options=_REPRODUCIBLE if constant else _FAST,
            width=width,
            height=height,
            pix_fmt="yuv420p",
        )
        if constant:
            return
        encoder = self._stream.codec_context
        encoder.time_base = _TICK
        encoder.flags |= av.codec.context.Flags.frame_duration
        # Players take large pictures without a tag for BT.709.
        encoder.colorspace = av.video.reformatter.Colorspace.SMPTE170M
        if timestamp > 0:
            self._add_silence()

    def _add_silence(self) -> None:
        """Adds a moment of silence at time 0; without it, the first frame's time counts as 0."""
        stream = self._container.add_stream("aac", 8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        samples.sample_rate, samples.pts = 8000, 0
        self._container.mux([*stream.encode(samples), *stream.encode(None)])

    def _picture(self, image: np.ndarray) -> av.VideoFrame:
        if self._frame_rate is not None:
            return av.VideoFrame.from_ndarray(image, format="rgb24")
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        # Eight times as fast as FFmpeg's own conversion.
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
        return av.VideoFrame.from_ndarray(planes, format="yuv420p")

    def _encode_pending(self) -> None:
        picture = self._pending
        assert picture is not None
        picture.pts, picture.time_base = self._tick, self._time_base
        if self._frame_rate is None:
            picture.duration = self._ticks
        self._container.mux(self._stream.encode(picture))

    def _finish(self, error: type[BaseException] | None, *_) -> None:
        """Empties the encoder if the `with` block ended normally."""
        if error is not None:
            return
        if self._pending is None:
            raise errors.InputError(f"{self._path}: no images to write; a video needs at least one")
        self._ticks = self._ticks or round(1 / _NOMINAL_RATE / self._time_base)
        self._encode_pending()
        self._container.mux(self._stream.encode(None))


def _check_writable(path: str | os.PathLike, image: np.ndarray, even: bool) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise errors.InputError(
            f"{path}: an image is {image.dtype} {image.shape}; expected uint8 RGB [H, W, 3]"
        )
    if even and (image.shape[0] % 2 or image.shape[1] % 2):
        raise errors.InputError(
            f"{path}: images of {image.shape[1]}x{image.shape[0]} pixels; H.264 needs an even "
            "width and height, so crop or pad by one pixel"
        )
