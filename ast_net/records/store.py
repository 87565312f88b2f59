"""From a data set's name to records that are on disk, whole, and made of what they should be."""

import contextlib
import io
import pathlib

import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from google.protobuf import json_format

from ast_net import config, errors
from ast_net.cnn import runtime
from ast_net.datasets import afew_va, avec2012, demo_recordings, recola, recording_list, semaine
from ast_net.records import builder as segments_builder
from ast_net.records import example_format, shards, trajectories

BUILDERS = {
    "demo": demo_recordings.Demo,
    "recola": recola.Recola,
    "avec2012": avec2012.Avec2012,
    "semaine": semaine.Semaine,
    "afew_va": afew_va.AfewVa,
    "recordings": recording_list.Recordings,
    "fer2013_trajectories": trajectories.Fer2013Trajectories,
}


def runtime_of(dataset: str, asked: config.Runtime, backbone: str) -> config.Runtime:
    """What computes a data set's features: `runtime.resolve`, but TensorFlow's float32 wherever that is fast.

    Records should be the same on every machine. With `compact` most of a preparation is spent on finding the
    faces, and a data set of pictures has no faces to be found.
    """
    plain = backbone == "compact" or not issubclass(
        BUILDERS[dataset], segments_builder.SegmentsBuilder
    )
    if plain and asked == config.Runtime("tensorflow", "auto"):
        return config.FLOAT32
    return runtime.resolve(asked)


def prepare(
    dataset: str,
    settings: example_format.RecordsConfig,
    data_dir: str,
    manual_dir: str | None,
    beam_pipeline_options: str | None = None,
) -> tfds.core.DatasetBuilder:
    """Makes the records of a data set, unless they are there already.

    Args:
      dataset: its name, a key of BUILDERS.
      settings: what the records depend on.
      data_dir: where TFDS keeps records; tracks of faces are kept there too.
      manual_dir: the data set as its owners release it; not needed once the records are made.
      beam_pipeline_options: where Apache Beam shall make them, "runner=...,..."; None to make them here.

    Raises:
      InputError: the source is missing or broken, OpenVINO is asked for and missing, recordings failed, or
        the records are damaged or of other files.
    """
    builder_class = BUILDERS[dataset]
    if beam_pipeline_options and not issubclass(builder_class, segments_builder.SegmentsBuilder):
        raise errors.InputError(
            f"--beam_pipeline_options: {dataset} is not made of videos, and is made here; leave the flag out"
        )
    if settings.runtime != config.FLOAT32 and not issubclass(
        builder_class, segments_builder.SegmentsBuilder
    ):
        raise errors.InputError(
            f"--runtime={settings.runtime.name} --precision={settings.runtime.precision}: {dataset} is not made "
            "of videos, and is computed by tensorflow in float32; leave the flags out"
        )
    # TFDS takes the settings it already knows by name only.
    known = settings.name in builder_class.builder_configs
    try:
        builder = builder_class(config=settings.name if known else settings, data_dir=data_dir)
    except json_format.ParseError as error:
        raise errors.InputError(
            f"{pathlib.Path(data_dir) / dataset / settings.name}: its dataset_info.json is damaged "
            f"({error}). Delete this folder and prepare again (faces that were found are kept)"
        ) from error
    if builder.is_prepared():
        _check_whole(builder)
        builder.check_sources(manual_dir)
        return builder
    if dataset != "demo" and (manual_dir is None or not pathlib.Path(manual_dir).is_dir()):
        raise errors.InputError(
            f"{dataset} is not prepared yet, and its source folder is "
            f"{'not given' if manual_dir is None else f'missing: {manual_dir}'}: give --manual_dir=FOLDER."
            f"\n{builder.MANUAL_DOWNLOAD_INSTRUCTIONS}"
        )
    runtime.check_installed(settings.runtime)  # before hours of finding faces
    download = tfds.download.DownloadConfig(manual_dir=manual_dir)
    if beam_pipeline_options:
        download.beam_options = _beam_options(beam_pipeline_options)
    logging.info("preparing %s in %s", dataset, builder.data_dir)
    tfds.disable_progress_bar()  # ours tell more
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS speaks of downloads, and there are none
        try:
            builder.download_and_prepare(download_config=download)
        except RuntimeError as error:  # what TFDS makes of an error of TensorFlow's file system
            raise errors.InputError(
                f"{builder.data_dir}: the records cannot be written ({error}): check that the disk has room"
            ) from error
    return builder


def _beam_options(text: str):
    try:
        from ast_net.records import beam_pipeline
    except ImportError as error:
        raise errors.InputError(
            f"--beam_pipeline_options={text}: Apache Beam cannot be imported ({error}): install it with "
            "tools/run -m pip install -e '.[beam]', or leave this flag out"
        ) from error
    return beam_pipeline.parse_options(text)


def segments(builder: tfds.core.DatasetBuilder, split: str) -> tf.data.Dataset:
    """The examples of a split (`example_format.features_dict`), those of a recording in order."""
    read = tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False)
    return builder.as_dataset(split=split, read_config=read)


def _check_whole(builder: tfds.core.DatasetBuilder) -> None:
    """Compares the size of the record files with what was written."""
    for name, split in builder.info.splits.items():
        expected = split.num_bytes + shards.FRAMING * split.num_examples
        files = [pathlib.Path(file) for file in split.filepaths]
        found = sum(file.stat().st_size for file in files if file.is_file())
        if found != expected:
            raise errors.InputError(
                f"{builder.data_dir}: the records of {name} have {found:,} bytes, expected {expected:,}: "
                "they are damaged. Delete this folder and prepare again (faces that were found are kept)"
            )
