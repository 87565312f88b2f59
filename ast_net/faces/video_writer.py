"""Writes video files whose frames have arbitrary times."""

import contextlib
import fractions
import math
import pathlib
from collections.abc import Iterable, Iterator

import av
import av.codec.context
import av.container
import av.video.reformatter
import cv2
import numpy as np

from ast_net import errors, files
from ast_net.faces import video_container, video_sound

# Seconds. The usual clock of MPEG streams; frame times are rounded to it.
_TICK = fractions.Fraction(1, 90_000)
_NOMINAL_RATE = 25
# Takes 11 ms of one core for a frame of 1280x720. _REPRODUCIBLE takes twice as long, and its files
# are 1.2 times as large.
_FAST = {"crf": "23", "preset": "ultrafast"}
# Other presets look ahead and do not always encode the same pictures to the same bytes.
_REPRODUCIBLE = {"crf": "20", "preset": "superfast"}


def write_video(path: pathlib.Path, images: Iterable[np.ndarray], frame_rate: float) -> None:
    """Writes an H.264 mp4 file with a constant frame rate, whole or not at all.

    Args:
      path: the file.
      images: uint8 RGB [H, W, 3], all of the same size. H and W are even, because colour is stored
        at half the resolution.
      frame_rate: frames per second.

    Raises:
      InputError: there are no images, or one has a different shape or type.
      OSError: the disk is full or read-only.
    """
    with open_writer(path, frame_rate) as writer:
        for index, image in enumerate(images):
            writer.write(image, index / frame_rate)


@contextlib.contextmanager
def open_writer(
    path: pathlib.Path, frame_rate: float | None = None, sound: pathlib.Path | None = None
) -> Iterator["VideoWriter"]:
    """Opens a writer for an H.264 mp4 file; the file appears if the `with` block ends normally.

    Args:
      path: the file.
      frame_rate: frames per second if the rate is constant; width and height must then be even.
        None for frames with arbitrary times.
      sound: a video whose sound is copied, as far as there are frames; None for no sound.

    Raises:
      InputError: no frame was written.
      OSError: the disk is full or read-only.
    """
    # The index comes first, so that a truncated copy can still be read.
    options = {"movflags": "faststart"}
    if frame_rate is None:
        # By default the first frame's time would be rounded to 1 ms.
        options["movie_timescale"] = str(_TICK.denominator)
    with (
        files.whole(path) as file,
        av.open(video_container.address(file), "w", "mp4", options) as container,
        video_sound.opened(sound) as track,
    ):
        writer = VideoWriter(path, container, frame_rate, track)
        yield writer
        writer.finish()


class VideoWriter:
    """Writes an H.264 mp4 file frame by frame, each at its own time. Created by `open_writer`.

    A player shows each frame from its timestamp until the next frame's, and the last frame as long
    as the one before it. If neither frames nor sound start at 0, a silent sound track does, because
    players skip an empty start.

    With a constant frame rate, time is counted in frames, and the same frames always give the same
    bytes. Generated data sets need this, because their videos are checked by digest.
    """

    def __init__(
        self,
        path: pathlib.Path,
        container: av.container.OutputContainer,
        frame_rate: float | None,
        sound: video_sound.Sound | None,
    ) -> None:
        self._path, self._container, self._frame_rate = path, container, frame_rate
        self._sound = sound
        self._shape: tuple[int, ...] = ()
        self._pending: av.VideoFrame | None = None
        self._timestamp = -math.inf
        # The time of the pending frame, and the duration of the latest encoded frame.
        self._tick, self._duration_ticks = -1, 0

    def write(self, image: np.ndarray, timestamp: float) -> None:
        """Adds a frame.

        Args:
          image: uint8 RGB [H, W, 3]. An odd width or height is made even by repeating the last
            pixels. An image of another size than the first one is scaled to fit into it, on black.
          timestamp: seconds, at least 0 and later than the previous frame's.

        Raises:
          InputError: the image has a wrong type, or the frame rate is constant and the size is odd
            or another one.
          ValueError: the timestamp is negative, or not later than the previous frame's.
          OSError: the disk is full or read-only.
        """
        self._check(image)
        if self._shape and image.shape != self._shape:
            image = _fitted(image, self._shape)
        if timestamp <= self._timestamp or timestamp < 0:
            raise ValueError(
                f"found a frame at {timestamp} s after one at {self._timestamp} s, expected a "
                "later time, at least 0"
            )
        if not self._shape:
            self._add_streams(image.shape, timestamp)
        # A frame that would fall on the previous frame's tick gets the next tick.
        tick = max(round(timestamp / self._time_base), self._tick + 1)
        # A frame is encoded when the next one is known, as its duration ends there.
        if self._pending is not None:
            self._duration_ticks = tick - self._tick
            self._encode(self._pending)
            self._copy_sound(timestamp)
        self._pending, self._tick, self._timestamp = self._picture(image), tick, timestamp

    def finish(self) -> None:
        """Writes the last frame.

        Raises:
          InputError: there are no frames.
        """
        if self._pending is None:
            raise errors.InputError(
                f"{self._path}: found no images to write, expected at least one; check the input"
            )
        if not self._duration_ticks:  # a single frame
            self._duration_ticks = round(1 / _NOMINAL_RATE / self._time_base)
        self._encode(self._pending)
        self._copy_sound(float((self._tick + self._duration_ticks) * self._time_base))
        if self._sound is not None:
            self._sound.finish()
        self._container.mux(self._stream.encode(None))

    def _check(self, image: np.ndarray) -> None:
        if image.dtype != np.uint8 or image.shape[2:] != (3,):
            expected = "uint8 RGB [H, W, 3]"
        elif self._frame_rate is not None and self._shape and image.shape != self._shape:
            expected = f"{self._shape} as in the first image; a video needs images of one size"
        elif self._frame_rate is not None and (image.shape[0] % 2 or image.shape[1] % 2):
            expected = "an even width and height, as H.264 requires; crop or pad by one pixel"
        else:
            return
        image_type = f"found an image of {image.dtype} {image.shape}"
        raise errors.InputError(f"{self._path}: {image_type}, expected {expected}")

    def _add_streams(self, shape: tuple[int, ...], timestamp: float) -> None:
        self._shape = shape
        constant = self._frame_rate is not None
        rate = fractions.Fraction(self._frame_rate or _NOMINAL_RATE).limit_denominator(60_000)
        self._time_base = 1 / rate if constant else _TICK
        options = _REPRODUCIBLE if constant else _FAST
        self._stream = self._container.add_stream("libx264", rate, options, pix_fmt="yuv420p")
        self._stream.height, self._stream.width = (side + side % 2 for side in shape[:2])
        if constant:
            return
        encoder = self._stream.codec_context
        encoder.time_base = _TICK
        encoder.flags |= av.codec.context.Flags.frame_duration
        # Players assume BT.709 for large pictures if the colour space is not given.
        encoder.colorspace = av.video.reformatter.Colorspace.SMPTE170M
        start = math.inf
        if self._sound is not None:
            self._sound.add_to(self._container)
            start = self._sound.start
        if min(start, timestamp) > 0:
            # A short silence at time 0. Without it, players would shift the first frame to 0.
            sound = self._container.add_stream("aac", 8000, layout="mono")
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            samples.sample_rate, samples.pts = 8000, 0
            self._container.mux([*sound.encode(samples), *sound.encode(None)])

    def _copy_sound(self, until: float) -> None:
        if self._sound is not None:
            self._sound.copy(until)

    def _picture(self, image: np.ndarray) -> av.VideoFrame:
        if self._frame_rate is not None:
            return av.VideoFrame.from_ndarray(image, format="rgb24")
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        # OpenCV converts eight times as fast as FFmpeg.
        planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
        return av.VideoFrame.from_ndarray(planes, format="yuv420p")

    def _encode(self, picture: av.VideoFrame) -> None:
        picture.pts, picture.time_base = self._tick, self._time_base
        picture.duration = self._duration_ticks
        self._container.mux(self._stream.encode(picture))


def _fitted(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Scales an image to fit into a shape [H, W, 3], in the middle of a black one."""
    scale = min(shape[0] / image.shape[0], shape[1] / image.shape[1])
    height, width = (max(1, round(scale * side)) for side in image.shape[:2])
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    result = np.zeros(shape, np.uint8)
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    result[top : top + height, left : left + width] = scaled
    return result
