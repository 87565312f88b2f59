"""The files that recordings are made into, one each, and how they become the shards of a data set."""

import os
import pathlib
import shutil
import struct
from collections.abc import Mapping, Sequence

import tensorflow_datasets as tfds

# A TFRecord file has the length and its checksum before each example, and the example's checksum after it.
_HEADER, _CHECKSUM = 12, 4
FRAMING = _HEADER + _CHECKSUM


def sizes(file: pathlib.Path) -> list[int] | None:
    """Returns the bytes of each example of a file; None if there is no such file, or it is not whole."""
    try:
        end, lengths = file.stat().st_size, []
        with file.open("rb") as stream:
            while stream.tell() < end:
                (size,) = struct.unpack("<Q", stream.read(_HEADER)[:8])
                if not 0 <= size <= end - stream.tell():
                    return None
                lengths.append(size)
                stream.seek(size + _CHECKSUM, 1)
            return lengths if lengths and stream.tell() == end else None
    except (FileNotFoundError, struct.error):
        return None


def link(file: pathlib.Path, name: pathlib.Path) -> None:
    """Gives a file another name; where the file system has no links, it is copied."""
    try:
        os.link(file, name)
    except OSError:
        shutil.copyfile(file, name)


def assemble(
    folder: pathlib.Path,
    dataset: str,
    version: str,
    features: tfds.features.FeaturesDict,
    splits: Mapping[str, Sequence[pathlib.Path]],
) -> None:
    """Makes a folder a TFDS data set whose shards are whole files, in this order.

    The files are linked (`link`), so that they take no further room.
    """
    infos = []
    for split, files in splits.items():
        template = tfds.core.ShardedFileTemplate(
            data_dir=folder, dataset_name=dataset, split=split, filetype_suffix="tfrecord"
        )
        lengths = [sizes(file) or [] for file in files]
        for index, file in enumerate(files):
            shard = template.sharded_filepath(shard_index=index, num_shards=len(files))
            link(file, pathlib.Path(shard))
        infos.append(
            tfds.core.SplitInfo(
                name=split,
                shard_lengths=[len(shard) for shard in lengths],
                num_bytes=sum(map(sum, lengths)),
                filename_template=template,
            )
        )
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=features,
        split_infos=infos,
        version=version,
        check_data=False,
        # Segments stay in the order of the recording, which evaluation needs.
        disable_shuffling=True,
    )
