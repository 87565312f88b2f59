"""Makes a TFDS data set of the TFRecord files of recordings, each of which becomes a shard."""

import os
import pathlib
import shutil
import struct
from collections.abc import Mapping, Sequence

import tensorflow_datasets as tfds

from ast_net import errors

# In a TFRecord file, each example has its length and the length's checksum before it, and its own
# checksum after it. Sizes in bytes.
_HEADER, _CHECKSUM = 12, 4
FRAMING = _HEADER + _CHECKSUM


def sizes(file: pathlib.Path) -> list[int] | None:
    """Returns the size of each example in bytes, or None if the file is missing or incomplete."""
    try:
        end, lengths = file.stat().st_size, []
        with file.open("rb") as stream:
            while stream.tell() < end:
                (size,) = struct.unpack("<Q", stream.read(_HEADER)[:8])
                if size > end - stream.tell():
                    return None
                lengths.append(size)
                stream.seek(size + _CHECKSUM, 1)
            return lengths if lengths and stream.tell() == end else None
    except (FileNotFoundError, struct.error):
        return None


def link(file: pathlib.Path, name: pathlib.Path) -> None:
    """Links a file under a second name, or copies it if the file system does not support links."""
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
    """Makes a TFDS data set in a folder, with the given files as shards, in this order.

    The files are linked (`link`), so that they take no additional space.

    Args:
      folder: an existing folder.
      dataset: name of the data set.
      version: its version, such as "3.0.0".
      features: the format of an example.
      splits: the files of each split.

    Raises:
      InputError: a file is missing or incomplete.
    """
    infos = []
    for split, files in splits.items():
        template = tfds.core.ShardedFileTemplate(
            data_dir=folder, dataset_name=dataset, split=split, filetype_suffix="tfrecord"
        )
        lengths = []
        for index, file in enumerate(files):
            examples = sizes(file)
            if examples is None:
                raise errors.InputError(
                    f"{file}: found incomplete records, or none; expected those of a whole "
                    "recording: prepare again"
                )
            lengths.append(examples)
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
        # Evaluation needs the segments in the order of the recording.
        disable_shuffling=True,
    )
