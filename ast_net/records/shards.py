"""The files that recordings are made into, one each, and how they become the shards of a data set."""

import contextlib
import os
import pathlib
import shutil
import struct
import urllib.parse
from collections.abc import Sequence

import tensorflow_datasets as tfds

from ast_net import errors

# A TFRecord file has the length and its checksum before each example, and the example's checksum after it.
_HEADER, _CHECKSUM = 12, 4
FRAMING = _HEADER + _CHECKSUM
# Of a digest in a file's name.
_DIGITS = 16


def file_name(recording: str, digest: str) -> str:
    """The name of a recording's file; the digest is of what it is made of."""
    return f"{urllib.parse.quote(recording, safe='')}-{digest[:_DIGITS]}.tfrecord"


def sizes(file: pathlib.Path) -> list[int] | None:
    """The bytes of each example of a file; None if there is no such file, or it is not whole."""
    try:
        end, found = file.stat().st_size, []
        with file.open("rb") as stream:
            while stream.tell() < end:
                (size,) = struct.unpack("<Q", stream.read(_HEADER)[:8])
                if not 0 <= size <= end - stream.tell():
                    return None
                found.append(size)
                stream.seek(size + _CHECKSUM, 1)
            return found if found and stream.tell() == end else None
    except (FileNotFoundError, struct.error):
        return None


def add(
    builder: tfds.core.DatasetBuilder, split: str, files: Sequence[pathlib.Path]
) -> tfds.core.SplitInfo:
    """Puts whole files into a data set, each a shard, in this order."""
    template = tfds.core.ShardedFileTemplate(
        data_dir=builder.data_path,
        dataset_name=builder.name,
        split=split,
        filetype_suffix="tfrecord",
    )
    found = []
    for index, file in enumerate(files):
        shard = template.sharded_filepath(shard_index=index, num_shards=len(files))
        # Linked, not moved: a preparation killed here has lost nothing.
        try:
            os.link(file, shard)
        except FileNotFoundError as error:
            raise errors.InputError(
                f"{file}: gone, as another preparation of {builder.name} has just ended; start again"
            ) from error
        except OSError:  # not every file system has links
            shutil.copyfile(file, shard)
        found.append(sizes(file) or [])
    return tfds.core.SplitInfo(
        name=split,
        shard_lengths=[len(shard) for shard in found],
        num_bytes=sum(sum(shard) for shard in found),
        filename_template=template,
    )


def discard(files: Sequence[pathlib.Path]) -> None:
    """Deletes recordings' files, and what preparations left that were killed or had other ratings."""
    for file in files:
        recording = file.name.rpartition("-")[0]
        own = f"{recording}-{'?' * _DIGITS}.*"
        for path in (*file.parent.glob(own), *file.parent.glob(f".????????.{own}")):
            path.unlink(missing_ok=True)
    for folder in {file.parent for file in files}:
        with contextlib.suppress(OSError):  # another preparation's files are in it
            folder.rmdir()
