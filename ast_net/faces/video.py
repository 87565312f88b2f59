"""Video files as frames with true timestamps."""

import contextlib
import functools
import hashlib
import pathlib
from collections.abc import Iterator

import av
import av.container
import av.stream
import av.video.reformatter
import numpy as np
from absl import logging

from ast_net import errors, files
from ast_net.faces import picture_sequence, video_frame

# Seconds. In files with sound the container's duration and the end of the last frame differ by a
# few frames.
_DURATION_TOLERANCE = 0.5
# Pixels. Decoding with several threads takes half as much processor time again, which only pays off
# for larger pictures.
_LARGE = 1920 * 1088
# Frames a second, where nothing else is known: a single picture, a bare stream.
_DEFAULT_RATE = 25.0
# Formats whose files name other files to open, which may be anybody's.
_PLAYLISTS = {"concat", "dash", "hls", "imf"}


class Video:
    """A video file.

    Making the object reads nothing. The container is opened once for what it says (`frame_count`,
    `duration`), when the first of these is asked for, once for the `frame_rate`, and once for each
    pass over the frames. A missing or unreadable file raises InputError then.

    Attributes:
      path: the file.
    """

    def __init__(self, path: str | pathlib.Path) -> None:
        self.path = pathlib.Path(path)

    @property
    def frame_count(self) -> int | None:
        """Roughly how many frames there are, for progress bars; None if the container is silent."""
        return self._header[0]

    @functools.cached_property
    def frame_rate(self) -> float:
        """Frames a second where the film runs as it usually does; 25 for a single picture.

        It is measured over all pictures, without decoding them: containers with a variable rate,
        and those of screen recorders, may say anything. Steps that differ by half from the median
        one, such as pauses, do not count, so a film whose rate changes has the rate of its larger
        part. Whatever depends on time takes the frames' times.
        """
        with _open(self.path) as (container, stream):
            return _frame_rate(container, stream)

    @property
    def duration(self) -> float | None:
        """When the pictures end according to the container, in seconds; None if it does not say."""
        return self._header[1]

    @functools.cached_property
    def _header(self) -> tuple[int | None, float | None]:
        """Frame count and duration."""
        with _open(self.path) as (container, stream):
            seconds = (container.duration or 0) / av.time_base
            count = stream.frames or round(seconds * float(stream.average_rate or 0)) or None
            duration = _promised_end(container, stream) or None
            return count, duration

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the content as hex, whatever the file's name.

        Raises:
          InputError: it cannot be read.
        """
        with files.reading(self.path, "a video"), self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def fingerprint(self) -> tuple[str, int]:
        """The file's size in words, and when it was last written, in nanoseconds since 1970.

        It tells, without reading the content, whether the video has changed.

        Raises:
          InputError: there is no such file.
        """
        with files.reading(self.path, "a video"):
            status = self.path.stat()
        return f"{status.st_size} bytes", status.st_mtime_ns

    def frames(self) -> Iterator[video_frame.Frame]:
        """Yields the frames one by one, upright, with their presentation times.

        Time 0 is where a player starts: the earliest time of all streams according to the container
        (or the container's own zero if it gives none), not always the first picture's. If the
        pictures start half a second after the sound, the first frame is at 0.5 s, as the raters saw
        it; a file cut out of a broadcast, whose clock shows hours, starts at 0. A frame without a
        time, or with one that is not after its predecessor's, is put one nominal frame after it, so
        that timestamps increase strictly.

        A truncated file gives all that can be decoded, and then a warning that says what could not
        be decoded, and what the container promises beyond the last frame.

        Raises:
          InputError: the file is missing, empty or not a video, or no frame of it can be decoded.
        """
        problems: list[str] = []
        count, guessed = 0, 0
        with _open(self.path) as (container, stream):
            origin = _origin(container)
            step = 1.0 / float(stream.average_rate or stream.guessed_rate or _DEFAULT_RATE)
            timestamp = -step
            # One for all frames, as it takes a while to make.
            to_rgb = av.video.reformatter.VideoReformatter()
            for picture in _pictures(container, stream, problems):
                time = None if picture.time is None else picture.time - origin
                if time is None or (count and time <= timestamp):
                    timestamp += step
                    guessed += 1
                else:
                    timestamp = time
                yield video_frame.Frame(count, timestamp, _upright(picture, to_rgb))
                count += 1
            promised = _promised_end(container, stream)
        if not count:
            reason = "; ".join(problems) or "it has none"
            raise errors.InputError(f"{self.path}: no frame can be read ({reason}); copy it again")
        end = timestamp + step
        if promised - end > _DURATION_TOLERANCE:
            problems.append(f"its pictures end at {end:.2f} of {promised:.2f} s")
        if problems:
            logging.warning(f"{self.path}: {'; '.join(problems)}; frames that are used: {count}")
        if guessed:
            logging.warning(f"{self.path}: {guessed} of {count} frames have no usable time")


VideoSource = Video | picture_sequence.PictureSequence


def open_video(path: str | pathlib.Path) -> VideoSource:
    """A video file, or the sequence of numbered pictures that a folder or a pattern stands for.

    Raises:
      InputError: it is a folder or a pattern without numbered pictures.
    """
    if pathlib.Path(path).is_dir() or picture_sequence.is_pattern(path):
        return picture_sequence.PictureSequence(path)
    return Video(path)


@contextlib.contextmanager
def _open(path: pathlib.Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Opens a file and selects its video stream, not the cover picture of a sound file."""
    if not path.is_file():
        kind = "it is not a file" if path.exists() else "there is no such file"
        raise errors.InputError(f"{path}: expected a video, but {kind}; check the path")
    if path.stat().st_size == 0:
        raise errors.InputError(f"{path}: the file is empty (0 bytes); copy the video again")
    try:
        formats = ",".join(av.formats_available - _PLAYLISTS)
        container = av.open(str(path), options={"format_whitelist": formats})
    except av.FFmpegError as error:
        raise errors.InputError(
            f"{path}: not a readable video ({error.strerror}); expected mp4, mov, avi, mkv or the "
            "like, not cut off before its index was written: copy it again"
        ) from error
    with container:
        for stream in container.streams.video:
            if not stream.disposition & av.stream.Disposition.attached_pic:
                large = stream.codec_context.width * stream.codec_context.height > _LARGE
                stream.thread_type = "AUTO" if large else "NONE"
                yield container, stream
                return
        types = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise errors.InputError(f"{path}: no pictures in this file, only {types}; expected a video")


def _pictures(
    container: av.container.InputContainer, stream: av.VideoStream, problems: list[str]
) -> Iterator[av.VideoFrame]:
    """Yields every picture that can be decoded; what goes wrong is appended to problems."""
    damaged = 0
    try:
        for packet in container.demux(stream):  # the last one, which is empty, flushes the decoder
            try:
                pictures = stream.decode(packet)
            except av.FFmpegError:
                damaged += 1
            else:
                damaged += packet.is_corrupt
                yield from pictures
    except av.FFmpegError as error:
        problems.append(f"it cannot be read to its end ({error.strerror})")
        with contextlib.suppress(av.FFmpegError):
            yield from stream.decode(None)
    if damaged:
        problems.append(f"damaged packets: {damaged}")


def _frame_rate(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """As `Video.frame_rate`; reads all packets, up to a damage that ends them."""
    times: list[int] = []
    with contextlib.suppress(av.FFmpegError):
        for packet in container.demux(stream):
            if packet.pts is not None:
                times.append(packet.pts)
    steps = np.diff(np.unique(times))
    if not len(steps) or stream.time_base is None:
        return _DEFAULT_RATE
    # One of the steps, so that it is usual itself; pauses and hiccups say nothing about the rate.
    median = np.percentile(steps, 50, method="higher")
    usual = steps[np.abs(steps / median - 1) < 0.5]
    return 1 / float(usual.mean() * stream.time_base)


def _origin(container: av.container.InputContainer) -> float:
    """The container's time of the moment at which a player starts, in seconds."""
    return (container.start_time or 0) / av.time_base


def _promised_end(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """When the pictures end according to the container, in seconds; 0 if it does not say."""
    if stream.duration is not None and stream.time_base is not None:
        end = ((stream.start_time or 0) + stream.duration) * stream.time_base
        return float(end) - _origin(container)
    return (container.duration or 0) / av.time_base


def _upright(picture: av.VideoFrame, to_rgb: av.video.reformatter.VideoReformatter) -> np.ndarray:
    """A picture as uint8 RGB, turned by its display matrix (anticlockwise, in degrees)."""
    image = to_rgb.reformat(picture, format="rgb24", threads=1).to_ndarray()
    quarter_turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
