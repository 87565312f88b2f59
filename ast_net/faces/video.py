"""Video files as frames with true timestamps, and frames as video files."""

import contextlib
import fractions
import hashlib
import itertools
import math
import os
import pathlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import av
import av.codec.context
import av.container
import av.error
import av.stream
import av.video.reformatter
import av.video.stream
import cv2
import numpy as np
from absl import logging

from ast_net import errors, files
from ast_net.faces import pictures

# Seconds: a container's duration and its last frame's end differ by a few frames in sound files.
_DURATION_TOLERANCE = 0.5
# Pixels; with several threads the decoder takes half as much processor time again, which only larger pictures
# are worth.
_LARGE = 1920 * 1088
# From which the frame rate is taken.
_RATE_PACKETS = 250

# Of written videos. Their times are kept to half a tick of the clock that MPEG streams have.
_TICK = fractions.Fraction(1, 90_000)
_NOMINAL_RATE = 25
# 11 ms of one core for a frame of 1280x720; _REPRODUCIBLE takes twice that for a file a fifth larger.
_FAST = {"crf": "23", "preset": "ultrafast"}
# Presets that look ahead do not always make the same of the same pictures.
_REPRODUCIBLE = {"crf": "20", "preset": "superfast"}


class Frame(NamedTuple):
    """One picture of a video: its index, its time in seconds, and uint8 RGB [H, W, 3]."""

    index: int  # type: ignore[assignment]  # a tuple's method of this name is not missed
    timestamp: float
    image: np.ndarray


def read_frames(path: str | os.PathLike) -> Iterator[Frame]:
    """Yields the frames of a video one by one, upright, with their presentation times.

    Time 0 is where a player starts: the earliest time of all streams, as the container gives it (or
    its own zero if it gives none), not always the first picture's. Pictures that start half a second
    after the sound have their first frame at 0.5 s, as raters saw it; a file cut out of a broadcast,
    whose clock shows hours, starts at 0. A frame without a time, or with one not after its
    predecessor's, is put one nominal frame after it, so that timestamps increase strictly.

    A file that breaks off gives all that can be decoded; then a warning is logged that says what cannot
    be, and what the container promises beyond the last frame.

    A folder of numbered pictures is a video, too, and so is a pattern that they match (`pictures.read`).

    Raises:
      InputError: the file is missing, empty or no video, or not one frame of it can be decoded.
    """
    if _is_sequence(path):
        for index, (time, image) in enumerate(pictures.read(path)):
            yield Frame(index, time, image)
        return
    problems: list[str] = []
    count, guessed = 0, 0
    with _open(path) as (container, stream):
        origin = (container.start_time or 0) / av.time_base
        step = 1.0 / float(stream.average_rate or stream.guessed_rate or 25)
        timestamp = -step
        # One for all frames: it takes a while to make.
        to_rgb = av.video.reformatter.VideoReformatter()
        for picture in _pictures(container, stream, problems):
            own = None if picture.time is None else picture.time - origin
            if own is None or (count and own <= timestamp):
                timestamp += step
                guessed += 1
            else:
                timestamp = own
            yield Frame(count, timestamp, _upright(picture, to_rgb))
            count += 1
        end = _promised_end(container, stream, origin)
    if not count:
        raise errors.InputError(
            f"{path}: not one frame can be decoded ({'; '.join(problems) or 'it holds none'}); "
            "copy the video again"
        )
    if end - (timestamp + step) > _DURATION_TOLERANCE:
        problems.append(f"its pictures end at {timestamp + step:.2f} of {end:.2f} s")
    if problems:
        logging.warning("%s: %s; frames that are used: %d", path, "; ".join(problems), count)
    if guessed:
        logging.warning(
            "%s: %d of %d frames have no usable time of their own", path, guessed, count
        )


def expected_frames(path: str | os.PathLike) -> int | None:
    """About how many frames the container promises, for progress bars; None if it does not say.

    Raises:
      InputError: the file is missing, empty or no video.
    """
    if _is_sequence(path):
        return len(pictures.listing(path))
    with _open(path) as (container, stream):
        if stream.frames:
            return stream.frames
        if container.duration and stream.average_rate:
            return round(container.duration / av.time_base * float(stream.average_rate))
    return None


def frame_rate(path: str | os.PathLike) -> float:
    """Frames a second: as the container says if its first pictures are that far apart, else as they are.

    Containers of a variable rate, and screen recorders', may say anything. 25 for a single picture.

    Raises:
      InputError: the file is missing, empty or no video.
    """
    if _is_sequence(path):
        return pictures.FRAME_RATE
    with _open(path) as (container, stream):
        packets = itertools.islice(_packets(container, stream), _RATE_PACKETS)
        times = sorted(packet.pts for packet in packets if packet.pts is not None)
        steps = np.diff(times)
        steps = steps[steps > 0]
        if not len(steps) or stream.time_base is None:
            return pictures.FRAME_RATE
        # Pauses and hiccups say nothing of the rate.
        usual = steps[np.abs(steps / np.median(steps) - 1) < 0.5]
        found = 1 / float(usual.mean() * stream.time_base)
        promised = float(stream.average_rate or 0)
        return promised if abs(promised / found - 1) < 0.02 else found


def _packets(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> Iterator[av.Packet]:
    """The packets up to the first damage."""
    with contextlib.suppress(av.error.FFmpegError):
        yield from container.demux(stream)


def expected_duration(path: str | os.PathLike) -> float | None:
    """When the pictures end by the container's own account, in seconds; None if it does not say.

    Raises:
      InputError: the file is missing, empty or no video.
    """
    with _open(path) as (container, stream):
        origin = (container.start_time or 0) / av.time_base
        return _promised_end(container, stream, origin) or None


def content_digest(path: str | os.PathLike) -> str:
    """SHA-256 of a video's content as hex, whatever its name.

    Raises:
      InputError: it cannot be read.
    """
    try:
        if _is_sequence(path):
            return pictures.digest(path)
        with pathlib.Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise errors.InputError(
            f"{path}: cannot be read ({error.strerror}); check the path"
        ) from error


def write_video(path: str | os.PathLike, images: Iterable[np.ndarray], frame_rate: float) -> None:
    """Writes an H.264 mp4 of a constant frame rate, whole or not at all.

    Args:
      path: the file.
      images: uint8 RGB [H, W, 3], all of one size, H and W even (colour has half the resolution).
      frame_rate: frames a second.

    Raises:
      InputError: there is no image, or one of another shape or type.
      OSError: the disk is full or read-only.
    """
    with VideoWriter(path, frame_rate) as writer:
        for index, image in enumerate(images):
            writer.write(image, index / frame_rate)


class VideoWriter:
    """Writes an H.264 mp4 frame by frame, each at its own time; to be used in a `with`.

    The file takes its place when the `with` is left normally; else nothing is left of it. A player shows
    each frame from its timestamp until the next one's, and the last as long as the one before it. Before
    a first frame that is later than 0 there is silence, for players skip what is merely empty.

    With a frame rate, time is counted in frames, and the encoder's settings are those that generated data
    sets have always had, whose videos are known by the digest of their bytes.
    """

    def __init__(self, path: str | os.PathLike, frame_rate: float | None = None) -> None:
        """Takes the file, and frames a second if that is constant; sizes must be even then."""
        self._path = pathlib.Path(path)
        self._frame_rate = frame_rate
        self._shape: tuple[int, ...] = ()
        self._pending: av.VideoFrame | None = None
        self._timestamp = -math.inf
        self._tick, self._ticks = (
            -1,
            0,
        )  # of the frame that is pending, and how long the last one was

    def __enter__(self) -> "VideoWriter":
        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(files.whole(self._path))
            # The index in front lets a copy that breaks off still be read.
            options = {"movflags": "faststart"}
            if self._frame_rate is None:  # else the first frame's time is kept to a millisecond
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
          image: uint8 RGB [H, W, 3], of the first one's size. An odd width or height is made even by
            repeating the last pixels.
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
                f"{self._path}: an image is {image.dtype} {image.shape}, the first uint8 {self._shape}; "
                "a video needs images of one size"
            )
        if timestamp <= self._timestamp or timestamp < 0:
            raise ValueError(
                f"a frame at {timestamp} s follows one at {self._timestamp} s; expected later ones, from 0 on"
            )
        # Times that share a tick are moved apart.
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
        # Untagged, large pictures are taken for BT.709.
        encoder.colorspace = av.video.reformatter.Colorspace.SMPTE170M
        if timestamp > 0:
            self._add_silence()

    def _add_silence(self) -> None:
        """A moment of it at time 0, without which the first frame's time would be taken for 0."""
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
        # An eighth of the time that FFmpeg's own conversion takes.
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
        """Empties the encoder, if the `with` was left normally."""
        if error is not None:
            return
        if self._pending is None:
            raise errors.InputError(f"{self._path}: no images to write; a video needs at least one")
        self._ticks = self._ticks or round(1 / _NOMINAL_RATE / self._time_base)
        self._encode_pending()
        self._container.mux(self._stream.encode(None))


def _is_sequence(path: str | os.PathLike) -> bool:
    return pathlib.Path(path).is_dir() or pictures.is_pattern(path)


@contextlib.contextmanager
def _open(
    path: str | os.PathLike,
) -> Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]:
    """Opens a file and finds its picture track; cover art of a sound file is none."""
    file = pathlib.Path(path)
    if not file.is_file():
        kind = "it is no file" if file.exists() else "there is no such file"
        raise errors.InputError(f"{path}: expected a video, but {kind}; check the path")
    if file.stat().st_size == 0:
        raise errors.InputError(f"{path}: the file is empty (0 bytes); copy the video again")
    try:
        container = av.open(str(file))
    except av.error.FFmpegError as error:
        raise errors.InputError(
            f"{path}: no video that can be read ({error.strerror}): it is something else, or was cut off "
            "before its index was written; expected mp4, mov, avi, mkv or the like, so copy it again"
        ) from error
    with container:
        cover = av.stream.Disposition.attached_pic
        for stream in container.streams.video:
            if not stream.disposition & cover:
                large = stream.codec_context.width * stream.codec_context.height > _LARGE
                stream.thread_type = "AUTO" if large else "NONE"
                yield container, stream
                return
        found = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise errors.InputError(f"{path}: no pictures in this file, only {found}; expected a video")


def _pictures(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    problems: list[str],
) -> Iterator[av.VideoFrame]:
    """Every picture that can be decoded; what stands in the way is appended to problems."""
    damaged = 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            problems.append(f"it cannot be read to its end ({error.strerror})")
            packet = None
        corrupt = packet is not None and packet.is_corrupt
        try:
            pictures = stream.decode(packet)
        except av.error.EOFError:  # the last packet has emptied the decoder
            pictures = []
        except av.error.FFmpegError:
            pictures, corrupt = [], True
        damaged += corrupt
        yield from pictures
        if packet is None:
            break
    if damaged:
        problems.append(f"damaged packets: {damaged}")


def _promised_end(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    origin: float,
) -> float:
    """When the pictures end by the container's own account, in seconds; 0 if it gives none."""
    if stream.duration is not None and stream.time_base is not None:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base) - origin
    return (container.duration or 0) / av.time_base


def _upright(picture: av.VideoFrame, to_rgb: av.video.reformatter.VideoReformatter) -> np.ndarray:
    """A picture as uint8 RGB, turned as its display matrix says (anticlockwise, in degrees)."""
    image = to_rgb.reformat(picture, format="rgb24", threads=1).to_ndarray()
    quarter_turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image


def _check_writable(path: str | os.PathLike, image: np.ndarray, even: bool) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise errors.InputError(
            f"{path}: an image is {image.dtype} {image.shape}; expected uint8 RGB [H, W, 3]"
        )
    if even and (image.shape[0] % 2 or image.shape[1] % 2):
        raise errors.InputError(
            f"{path}: images of {image.shape[1]}x{image.shape[0]} pixels; H.264 needs an even width and "
            "height, so crop or pad by one pixel"
        )
