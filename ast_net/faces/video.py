"""Reads video files frame by frame, with the true time of each frame."""

import contextlib
import fractions
import functools
import hashlib
import pathlib
from collections.abc import Iterator

import av
import av.container
import numpy as np
from absl import logging

from ast_net import errors, files
from ast_net.faces import display, picture_sequence, video_container, video_frame

# Seconds. In files with sound, the container's duration and the end of the last frame differ by a
# few frames.
_DURATION_TOLERANCE = 0.5
# Frames per second, if nothing else is known, as for a single picture or a bare stream.
_DEFAULT_RATE = 25.0


class Video:
    """A video file.

    Creating the object reads nothing. The file is opened once for `frame_count` and `duration`,
    once for `frame_rate`, and once for each pass over the frames. A missing or unreadable file
    raises an InputError then.

    Attributes:
      path: the file.
    """

    def __init__(self, path: str | pathlib.Path) -> None:
        self.path = pathlib.Path(path)

    @property
    def frame_count(self) -> int | None:
        """Approximate number of frames, for progress bars; None if the container does not say."""
        return self._header[0]

    @functools.cached_property
    def frame_rate(self) -> float:
        """The usual number of frames per second; 25 for a single picture.

        It is measured from the times of all frames, without decoding them, because the rate in the
        container can be wrong, for example in screen recordings and videos with a variable rate.
        Intervals that differ by half or more from the median, such as pauses, do not count. So a
        video whose rate changes has the rate of its larger part. Computations that depend on time
        use the frames' times, not this rate.
        """
        with video_container.opened(self.path) as (container, stream):
            return _frame_rate(container, stream)

    @property
    def duration(self) -> float | None:
        """End of the last frame according to the container, in seconds; None if it does not say."""
        return self._header[1]

    @functools.cached_property
    def _header(self) -> tuple[int | None, float | None]:
        """Frame count and duration."""
        with video_container.opened(self.path) as (container, stream):
            seconds = (container.duration or 0) / av.time_base
            count = stream.frames or round(seconds * float(stream.average_rate or 0)) or None
            duration = _stated_end(container, stream) or None
            return count, duration

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the file's content as hex.

        Raises:
          InputError: the file cannot be read.
        """
        with files.reading(self.path, "a video"), self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def fingerprint(self) -> tuple[str, int]:
        """The file's size as text, and the time of its last change, in nanoseconds since 1970.

        It shows whether the video has changed, without reading the content.

        Raises:
          InputError: there is no such file.
        """
        with files.reading(self.path, "a video"):
            status = self.path.stat()
        return f"{status.st_size} bytes", status.st_mtime_ns

    def frames(self) -> Iterator[video_frame.Frame]:
        """Yields the frames one by one, with their presentation times.

        The pictures are those that a player shows: cropped, with square pixels, mirrored and turned
        as the file says (see `display.Display`). Boxes and landmarks are in these pixels.

        Time 0 is where a player starts: the earliest time of all streams according to the
        container, or the container's own zero if it gives none. So if the pictures start half a
        second after the sound, the first frame is at 0.5 s, as the raters saw it. A file cut out of
        a broadcast, whose clock shows hours, starts at 0. No frame has a time below 0: should the
        first one be earlier than the container says, it is at 0. A frame without a time, or with a
        time that is not later than the previous frame's, is put one nominal frame after it, so that
        timestamps increase strictly.

        Of a truncated file, all frames that can be decoded are yielded. Then a warning says what
        could not be decoded and how long the video should be according to the container. Where
        pictures are damaged, decoders guess a part of them; such frames are marked and counted.

        Raises:
          InputError: the file is missing, empty or not a video, its pictures have more than 64
            million pixels, or none of them can be decoded.
        """
        problems: list[str] = []
        count, untimed, damaged = 0, 0, 0
        with video_container.opened(self.path) as (container, stream):
            origin = video_container.origin(container)
            step = 1.0 / float(stream.average_rate or stream.guessed_rate or _DEFAULT_RATE)
            timestamp = -step
            view = display.Display(self.path, stream)
            for picture in _pictures(container, stream, problems):
                time = _time(picture)
                if time is not None and not count:
                    origin = min(origin, time)
                elapsed = None if time is None else float(time - origin)
                if elapsed is None or (count and elapsed <= timestamp):
                    timestamp += step
                    untimed += 1
                else:
                    timestamp = elapsed
                damaged += picture.is_corrupt
                yield video_frame.Frame(
                    count, timestamp, view.shown(picture), damaged=picture.is_corrupt
                )
                count += 1
            stated_end = _stated_end(container, stream)
        if not count:
            reason = "; ".join(problems) or "it has none"
            raise errors.InputError(
                f"{self.path}: no frame can be read ({reason}), expected at least one, of at most "
                f"{video_frame.MAX_PIXELS:,} pixels; copy it again"
            )
        end = timestamp + step
        if stated_end - end > _DURATION_TOLERANCE:
            problems.append(f"the pictures end at {end:.2f} of {stated_end:.2f} s")
        if damaged:
            problems.append(f"damaged frames, in which no face is looked for: {damaged}")
        if problems:
            logging.warning(
                f"{self.path}: {'; '.join(problems)}. The {count} readable frames are used; if the "
                "file is incomplete, copy it again"
            )
        if untimed:
            logging.warning(
                f"{self.path}: {untimed} of {count} frames have no usable time; each is taken as "
                "one frame interval after the frame before it"
            )


VideoSource = Video | picture_sequence.PictureSequence


def open_video(path: str | pathlib.Path) -> VideoSource:
    """Opens a video file, or a folder or pattern of numbered pictures.

    Raises:
      InputError: the folder or pattern has no numbered pictures.
    """
    if pathlib.Path(path).is_dir() or picture_sequence.is_pattern(path):
        return picture_sequence.PictureSequence(path)
    return Video(path)


def _pictures(
    container: av.container.InputContainer, stream: av.VideoStream, problems: list[str]
) -> Iterator[av.VideoFrame]:
    """Yields every picture that can be decoded; appends what went wrong to `problems`."""
    damaged = 0
    try:
        for packet in container.demux(stream):  # the last packet is empty and flushes the decoder
            try:
                pictures = stream.decode(packet)
            except av.FFmpegError:
                damaged += 1
            else:
                damaged += packet.is_corrupt
                yield from pictures
    except av.FFmpegError as error:
        problems.append(f"the file cannot be read to its end ({video_container.reason(error)})")
        with contextlib.suppress(av.FFmpegError):
            yield from stream.decode(None)
    if damaged:
        problems.append(f"damaged packets: {damaged}")


def _frame_rate(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """Computes `Video.frame_rate` from all packets, or from those before an unreadable one."""
    times: list[int] = []
    with contextlib.suppress(av.FFmpegError):
        for packet in container.demux(stream):
            if packet.pts is not None:
                times.append(packet.pts)
    steps = np.diff(np.unique(times))
    if not len(steps) or stream.time_base is None:
        return _DEFAULT_RATE
    # method="higher": the median is one of the steps, so that at least that one counts as usual.
    median = np.percentile(steps, 50, method="higher")
    usual = steps[np.abs(steps / median - 1) < 0.5]
    return 1 / float(usual.mean() * stream.time_base)


def _time(picture: av.VideoFrame) -> fractions.Fraction | None:
    """The presentation time on the container's clock, in seconds; None if there is none."""
    if picture.pts is None or picture.time_base is None:
        return None
    return picture.pts * picture.time_base


def _stated_end(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """The end of the pictures according to the container, in seconds; 0 if it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        end = ((stream.start_time or 0) + stream.duration) * stream.time_base
        return float(end - video_container.origin(container))
    return (container.duration or 0) / av.time_base
