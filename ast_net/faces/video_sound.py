"""Copies the sound of a video into another file, as it is encoded."""

import contextlib
import pathlib
from collections.abc import Iterator

import av
import av.audio.stream
import av.container
import av.packet
from absl import logging

from ast_net import errors, files
from ast_net.faces import video_container

# FFmpeg's names of the codecs that players expect in an mp4 file.
_CODECS = {"aac", "ac3", "alac", "eac3", "mp3", "opus"}


@contextlib.contextmanager
def opened(path: pathlib.Path | None) -> Iterator["Sound | None"]:
    """Opens the sound of a video file; closes the file at the end.

    Yields:
      The sound; None without a path, and if the file has no sound, or one that cannot be copied
      into an mp4 file, which a message says.
    """
    with contextlib.ExitStack() as stack:
        container = None
        if path is not None:
            with contextlib.suppress(errors.InputError):  # Whoever reads the pictures reports it.
                container, _ = stack.enter_context(video_container.opened(path))
        stream = container.streams.best("audio") if container is not None else None
        if container is None or not isinstance(stream, av.audio.stream.AudioStream):
            yield None
            return
        decoder = stream.codec_context
        codec = decoder.codec.canonical_name if decoder is not None else "unknown"
        if codec in _CODECS:
            yield Sound(path, container, stream)
            return
        logging.info(f"{path}: its sound ({codec}) cannot be copied into an mp4 file, left out")
        yield None


class Sound:
    """The sound of a video file. Created by `opened`."""

    def __init__(
        self,
        path: pathlib.Path | None,
        container: av.container.InputContainer,
        stream: av.audio.stream.AudioStream,
    ) -> None:
        self._path, self._stream = path, stream
        self._origin = video_container.origin(container)
        self._packets = self._timed(container.demux(stream))
        self._next: tuple[float, av.packet.Packet] | None = None

    def add_to(self, container: av.container.OutputContainer) -> None:
        """Adds a stream to a file into which nothing has been written."""
        self._container = container
        self._copy = container.add_stream_from_template(self._stream)

    def copy(self, until: float) -> None:
        """Copies what begins before a time, in seconds, and has not been copied yet.

        If the sound is damaged, the rest of it is left out, with a warning.
        """
        try:
            while (packet := self._next or next(self._packets, None)) is not None:
                self._next = packet
                if packet[0] >= until:
                    return
                packet[1].stream = self._copy
                self._container.mux(packet[1])
                self._next = None
        except av.FFmpegError as error:
            if files.is_final(error):
                raise
            reason = video_container.reason(error)
            logging.warning(f"{self._path}: sound left out from {until:.2f} s on ({reason})")
            self._packets, self._next = iter(()), None

    def _timed(
        self, packets: Iterator[av.packet.Packet]
    ) -> Iterator[tuple[float, av.packet.Packet]]:
        """Yields packets with times that count from the origin, and these in seconds."""
        for packet in packets:
            if packet.dts is None or packet.time_base is None:  # the last, empty one
                continue
            shift = round(self._origin / packet.time_base)
            packet.dts -= shift
            if packet.pts is not None:
                packet.pts -= shift
            yield float(packet.dts * packet.time_base), packet
