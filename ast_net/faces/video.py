"""Video files as frames with true timestamps."""

import contextlib
import hashlib
import itertools
import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import av
import av.codec.context
import av.container
import av.error
import av.stream
import av.video.reformatter
import av.video.stream
import numpy as np
from absl import logging

from ast_net import errors
from ast_net.faces import picture_sequence

# Seconds: a container's duration and its last frame's end differ by a few frames in sound files.
_DURATION_TOLERANCE = 0.5
# Pixels; with several threads the decoder takes half as much processor time again, which only larger pictures
# are worth.
_LARGE = 1920 * 1088
# From which the frame rate is taken.
_RATE_PACKETS = 250


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

    A folder of numbered pictures is a video, too, and so is a pattern that they match (`picture_sequence.read`).

    Raises:
      InputError: the file is missing, empty or no video, or not one frame of it can be decoded.
    """
    if _is_sequence(path):
        for index, (time, image) in enumerate(picture_sequence.read(path)):
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
        return len(picture_sequence.listing(path))
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
        return picture_sequence.FRAME_RATE
    with _open(path) as (container, stream):
        packets = itertools.islice(_packets(container, stream), _RATE_PACKETS)
        times = sorted(packet.pts for packet in packets if packet.pts is not None)
        steps = np.diff(times)
        steps = steps[steps > 0]
        if not len(steps) or stream.time_base is None:
            return picture_sequence.FRAME_RATE
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
            return picture_sequence.digest(path)
        with pathlib.Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise errors.InputError(
            f"{path}: cannot be read ({error.strerror}); check the path"
        ) from error


def _is_sequence(path: str | os.PathLike) -> bool:
    return pathlib.Path(path).is_dir() or picture_sequence.is_pattern(path)


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
