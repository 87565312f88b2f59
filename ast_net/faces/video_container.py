"""Opens video files with FFmpeg, which would otherwise take names for addresses."""

import contextlib
import fractions
import os
import pathlib
from collections.abc import Iterator

import av
import av.container
import av.stream

from ast_net import errors
from ast_net.faces import video_frame

# Seconds that opening a file, or reading its next packet, may take.
_TIME_LIMIT = 60.0
# Frames with more pixels than this are decoded with several threads. That takes 1.5 times as much
# processor time, which only pays off for large frames.
_MULTITHREADED_PIXELS = 1920 * 1088
# FFmpeg's names of the formats that are opened. Each holds all that it shows: playlists (concat,
# hls, dash) and numbered pictures (image2) name other files, and a video from elsewhere could name
# private ones, or an address. Single pictures are videos of one frame. Sound is here so that the
# message says that there are no pictures in it.
_FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "mpegvideo", "asf", "flv", "ogg", "mxf", "rm"),
    *("dhav", "dv", "gif", "ivf", "nut", "wtv", "yuv4mpegpipe"),
    *("av1", "h263", "h264", "hevc", "m4v", "mjpeg", "obu", "vc1", "vvc"),
    *("apng", "bmp_pipe", "jpeg_pipe", "png_pipe", "tiff_pipe", "webp_pipe"),
    *("aac", "flac", "mp3", "wav"),
)

# FFmpeg's names of codecs in which each picture is stored alone; cover art is in one of them.
_PICTURE_CODECS = {"bmp", "gif", "jpeg2000", "mjpeg", "png", "tiff", "webp"}


def address(path: str | pathlib.Path) -> str:
    """Returns FFmpeg's address of a file, so that no name is taken for one, such as http:a.mp4."""
    return f"file:{os.path.abspath(path)}"


@contextlib.contextmanager
def opened(
    path: pathlib.Path,
) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Opens a video file and selects its video stream; closes the file at the end.

    Cover art is passed over, even if it comes first.

    Raises:
      InputError: the file is missing, empty, not a video or a playlist, its pictures have more than
        64 million pixels, or opening it takes longer than a minute.
    """
    if not path.is_file():
        problem = "it is not a file" if path.exists() else "there is no such file"
        raise errors.InputError(f"{path}: expected a video, but {problem}; check the path")
    if path.stat().st_size == 0:
        raise errors.InputError(f"{path}: the file is empty (0 bytes); copy the video again")
    options = {
        "format_whitelist": ",".join(_FORMATS),
        "protocol_whitelist": "file",
        **_decoder_options(),
    }
    try:
        # Titles need not be UTF-8.
        container = av.open(
            address(path), options=options, metadata_errors="replace", timeout=_TIME_LIMIT
        )
    except av.FFmpegError as error:
        raise errors.InputError(
            f"{path}: not a readable video ({reason(error)}), expected mp4, mov, avi, mkv or the "
            "like. Perhaps the file was cut off before its index was written; copy it again"
        ) from error
    with container:
        stream = _video_stream(path, container)
        video_frame.check_size(path, stream.codec_context.width, stream.codec_context.height)
        pixels = stream.codec_context.width * stream.codec_context.height
        stream.thread_type = "AUTO" if pixels > _MULTITHREADED_PIXELS else "NONE"
        stream.codec_context.options = _decoder_options()
        yield container, stream


def origin(container: av.container.InputContainer) -> fractions.Fraction:
    """The time, on the container's clock, at which a player starts, in seconds.

    The container has it in whole microseconds; the stream that starts then has it exactly.
    """
    stated = fractions.Fraction(container.start_time or 0, av.time_base)
    starts = [
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.start_time is not None and stream.time_base is not None
    ]
    rounded = fractions.Fraction(1, av.time_base)
    return min((start for start in starts if abs(start - stated) < rounded), default=stated)


def reason(error: av.FFmpegError) -> str:
    """Says in words why FFmpeg could not open or read a file."""
    if isinstance(error, av.ExitError):
        return f"reading took longer than {_TIME_LIMIT:g} s"
    if isinstance(error, av.ArgumentError):  # The format is not in _FORMATS.
        return "a playlist or an unsupported format"
    return error.strerror or str(error)


def _decoder_options() -> dict[str, str]:
    """Returns the options by which decoders refuse pictures larger than the header says."""
    return {"max_pixels": str(video_frame.MAX_PIXELS)}


def _video_stream(path: pathlib.Path, container: av.container.InputContainer) -> av.VideoStream:
    """Returns the video stream of a file; the cover picture of a film or a song does not count.

    A cover that is not marked as one is a track of a single picture, or of a codec for pictures.
    """
    attached = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & attached]
    decodable = [stream for stream in streams if stream.codec_context is not None]
    if decodable:
        return min(
            decodable, key=lambda s: (s.frames == 1, s.codec_context.name in _PICTURE_CODECS)
        )
    if streams:
        raise errors.InputError(
            f"{path}: its pictures are in a codec that is not supported here; convert it to H.264"
        )
    types = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise errors.InputError(
        f"{path}: no pictures in this file, only {types}, expected a video; check the path"
    )
