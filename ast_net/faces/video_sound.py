"""Copies the sound of a video into another file, as it is encoded."""

import contextlib
import math
import pathlib
from collections.abc import Iterator

import av
import av.audio.stream
import av.container
import av.packet
from absl import logging

from ast_net import errors
from ast_net.faces import video_container

# FFmpeg's names of the codecs that players expect in an mp4 file.
_CODECS = {"aac", "ac3", "alac", "eac3", "mp3", "opus"}


@contextlib.contextmanager
def opened(path: pathlib.Path | None) -> Iterator["Sound | None"]:
    """Opens the sound of a video file; closes the file at the end.

    Yields:
      The sound; None without a path, and if the file has no sound, or one that players do not
      expect in an mp4 file, which a message says.
    """
    with contextlib.ExitStack() as stack:
        sound = None
        if path is not None:
            with contextlib.suppress(errors.InputError):  # Whoever reads the pictures reports it.
                container, _ = stack.enter_context(video_container.opened(path))
                sound = _sound(path, container)
        yield sound


def _sound(path: pathlib.Path, container: av.container.InputContainer) -> "Sound | None":
    stream = container.streams.best("audio")
    if not isinstance(stream, av.audio.stream.AudioStream):
        return None
    codec = "unknown"
    if stream.codec_context is not None:
        codec = stream.codec_context.codec.canonical_name
    if codec in _CODECS:
        return Sound(path, container, stream)
    logging.info(
        f"{path}: the annotated video has no sound, as players do not expect {codec} in mp4 files"
    )
    return None


class Sound:
    """The sound of a video file. Created by `opened`.

    Attributes:
      start: when it begins, in seconds; infinite if there is nothing to hear.
    """

    def __init__(
        self,
        path: pathlib.Path,
        container: av.container.InputContainer,
        stream: av.audio.stream.AudioStream,
    ) -> None:
        self._path, self._stream = path, stream
        self._origin = video_container.origin(container)
        self._packets = self._read(container)
        self._next = next(self._packets, None)
        self.start = self._next[0] if self._next is not None else math.inf
        self._damaged = 0

    def add_to(self, container: av.container.OutputContainer) -> None:
        """Adds a stream to a file into which nothing has been written."""
        self._target = container
        self._copy = container.add_stream_from_template(self._stream)

    def copy(self, until: float) -> None:
        """Copies what begins before a time, in seconds, and has not been copied yet.

        Damaged packets are left out.

        Raises:
          OSError: the disk is full or read-only.
        """
        while self._next is not None and self._next[0] < until:
            packet = self._next[1]
            packet.stream = self._copy
            try:
                self._target.mux(packet)
            # Damaged, earlier than the last, or AAC of a kind that mp4 files cannot have.
            except (av.InvalidDataError, av.ArgumentError, av.PatchWelcomeError):
                self._damaged += 1
            self._next = next(self._packets, None)

    def finish(self) -> None:
        """Says what was left out."""
        if self._damaged:
            logging.warning(f"{self._path}: damaged packets of sound, left out: {self._damaged}")

    def _read(
        self, container: av.container.InputContainer
    ) -> Iterator[tuple[float, av.packet.Packet]]:
        """Yields packets with times that count from the origin, and their times in seconds.

        A file that cannot be read to its end has no more of them; its pictures say so.
        """
        with contextlib.suppress(av.FFmpegError):
            for packet in container.demux(self._stream):
                if packet.dts is None or packet.time_base is None:  # the last, empty one
                    continue
                shift = round(self._origin / packet.time_base)
                packet.dts -= shift
                if packet.pts is not None:
                    packet.pts -= shift
                yield float(packet.dts * packet.time_base), packet
