"""Finds the records that belong to some settings on disk, or makes them.

The records of each recording are in a separate file, named by a digest of everything that they
depend on: DATA_DIR/segments/DATASET/NAME-DIGEST.tfrecord. A data set is a folder in TFDS's format,
DATA_DIR/DATASET/CONFIGURATION/VERSION, whose shards are links to the files of its recordings. So a
change to one recording affects only that recording, and several studies can share a DATA_DIR.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import logging

from ast_net import config, errors, files, screen
from ast_net.cnn import backbone, runtime
from ast_net.datasets import reader
from ast_net.faces import face_track, video
from ast_net.records import catalogue, example_format, making, record_files, shards

# Increase this whenever the code makes different records from the same settings.
VERSION = "3.0.0"
_DIGEST_LENGTH = 16


def prepare(
    settings: config.Preparation,
    beam_pipeline_options: str | None = None,
    needed: Sequence[str] = ("train", "dev"),
) -> record_files.Records:
    """Makes the records of a data set, except for recordings whose records exist already.

    If another process is preparing the same, this one waits for it, and makes what is then missing.

    Args:
      settings: the data set, and everything else that the records depend on.
      beam_pipeline_options: make the records with Apache Beam with these options,
        "runner=...,..."; None to make them in this process.
      needed: the splits that must not be empty.

    Raises:
      InputError: the source is missing or damaged, a needed split is empty, OpenVINO is required
        but not installed, recordings failed, or existing records are damaged.
    """
    entry = catalogue.data_set(settings)
    source_reader = entry.reader(settings)
    settings = resolved(settings)
    if beam_pipeline_options and not entry.reader.OF_VIDEOS:
        raise errors.InputError(
            f"`beam_pipeline_options` is not available for {settings.dataset}, which is not made "
            "of videos; leave it out"
        )
    if not source_reader.has_folder():
        records = find(settings, needed=needed)
        if records is not None:
            return records
    folder = source_reader.folder()
    sources = source_reader.sources(folder, needed)
    splits = {split: [source.name for source in part] for split, part in sources.items()}
    runtime.check_installed(settings.runtime)  # before hours of face tracking
    weights = backbone.weights_id(settings.backbone, settings.backbone_weights)
    rate = entry.reader.FRAME_RATE or _usual_rate(settings, weights, folder, sources)
    key = _key(settings, weights, settings.clip.stride / rate)
    paths = {
        split: [_file(key, settings, source, folder) for source in part]
        for split, part in sources.items()
    }
    names = {split: [path.name for path in part] for split, part in paths.items()}
    records_folder = _folder(settings, key, _digest([key, names]))
    tracks = pathlib.Path(settings.data_dir, making.TRACKS)
    for place in {
        tracks,
        records_folder.parent,
        *(p.parent for part in paths.values() for p in part),
    }:
        files.sweep(place)
    if records_folder.is_dir():
        return record_files.Records(records_folder)
    make_all: Callable[..., dict[str, str]] = making.make_all
    if beam_pipeline_options:
        make_all = functools.partial(
            making.make_all_on_beam, options=beam_pipeline_options, data_dir=settings.data_dir
        )
    with files.alone(records_folder.parent, f"preparing {settings.dataset}"):
        # Another process may just have made them.
        if not records_folder.is_dir():
            jobs = _unfinished(sources, paths, settings, key["time_step"])
            count = sum(map(len, splits.values()))
            finished = f", {count - len(jobs)} of them finished" if len(jobs) < count else ""
            logging.info(
                f"preparing {settings.dataset}: {screen.number(count, 'recording')}{finished}"
            )
            problems = make_all(functools.partial(entry.maker, settings), jobs) if jobs else {}
            if problems:
                raise errors.InputError(_failures(problems, splits))
            document = {"settings": key, "frame_rate": rate, "source": str(folder.resolve())}
            document |= {"splits": splits, "digest": _digest(names)}
            _write(records_folder, settings, document, paths)
            screen.wrote(records_folder)
    return record_files.Records(records_folder)


def _unfinished(
    sources: Mapping[str, Sequence[reader.Source]],
    paths: Mapping[str, Sequence[pathlib.Path]],
    settings: config.Preparation,
    time_step: float,
) -> list[making.Job]:
    """Returns the recordings whose records are missing. Their ratings are all read and checked.

    Raises:
      InputError: ratings are malformed.
    """
    unfinished = {
        file: source
        for split, part in sources.items()
        for source, file in zip(part, paths[split])
        if shards.sizes(file) is None
    }
    # All of them before the first video, so that errors in them show at once.
    gold = making.read_all_gold(list(unfinished.values()), settings.targets)
    return [
        making.Job(source.name, source.video, gold[source.name], file, time_step)
        for file, source in unfinished.items()
    ]


def find(
    settings: config.Preparation,
    backbone_digest: str | None = None,
    digest: str | None = None,
    needed: Sequence[str] = (),
) -> record_files.Records | None:
    """Opens existing records that were made with these settings, without reading the source.

    Args:
      settings: as for `prepare`.
      backbone_digest: digest of the CNN's weights (`backbone.weights_id`); needed if the weights
        file is not available.
      digest: the digest of the records (`Records.digest`); None for the newest records that were
        made from `settings.manual_dir`, if that is given.
      needed: the splits that must not be empty.

    Returns:
      The records, or None if there are none.

    Raises:
      InputError: there are such records of several source folders, or the records are damaged.
    """
    settings = resolved(settings)
    weights = backbone_digest or backbone.weights_id(settings.backbone, settings.backbone_weights)
    source = settings.manual_dir and str(pathlib.Path(settings.manual_dir).resolve())
    candidates = [
        (time, document["source"], path)
        for time, document, path in _existing(settings, weights)
        if (document["digest"] == digest if digest else source in (None, document["source"]))
        and set(needed) <= set(document["splits"])
    ]
    sources = sorted({source for _, source, _ in candidates})
    if len(sources) > 1 and digest is None:
        raise errors.InputError(
            f"{settings.data_dir}: has records with these settings from several source folders: "
            f"{', '.join(sources)}; choose one with `manual_dir`"
        )
    return record_files.Records(max(candidates)[2]) if candidates else None


def _existing(
    settings: config.Preparation, backbone_digest: str
) -> Iterator[tuple[int, dict[str, Any], pathlib.Path]]:
    """Yields the time of writing, the document and the folder of all records with these settings.

    Records with other frame rates are included; their time steps differ accordingly.
    """
    for path in (pathlib.Path(settings.data_dir) / str(settings.dataset)).glob(
        f"*/*/{record_files.DOCUMENT}"
    ):
        # Damaged documents are ignored.
        with contextlib.suppress(errors.InputError):
            with files.reading(path, "JSON"):
                document = json.loads(path.read_text())
                step = settings.clip.stride / document["frame_rate"]
                same = document["settings"] == _key(settings, backbone_digest, step)
                found = {name: document[name] for name in ("source", "digest", "frame_rate")}
                found["splits"] = list(document["splits"])
            if same:
                yield path.stat().st_mtime_ns, found, path.parent


def _usual_rate(
    settings: config.Preparation,
    backbone_digest: str,
    folder: pathlib.Path,
    sources: Mapping[str, Sequence[reader.Source]],
) -> float:
    """Returns the median frame rate of the training recordings, or of all if there are none.

    If there are records of the same folder, their frame rate is used, so that adding a recording
    does not change the time step and with it the records of all others; but not that of test
    recordings alone, once there are others to train on.
    """
    existing = [
        (time, document["frame_rate"])
        for time, document, _ in _existing(settings, backbone_digest)
        if document["source"] == str(folder.resolve())
        and ("train" in document["splits"] or "train" not in sources)
    ]
    if existing:
        return max(existing)[1]
    counted = sources.get("train") or [source for part in sources.values() for source in part]
    rates = [video.open_video(source.video).frame_rate for source in counted]
    return round(float(np.median(rates)), 3)


def resolved(settings: config.Preparation) -> config.Preparation:
    """Returns the settings with the precision that auto stands for.

    That is TensorFlow's float32 where it is fast enough, so that records are the same on every
    machine: with `compact`, because most of the time goes into face tracking, and for data sets
    that are not made of videos, because these need no face tracking.

    Raises:
      InputError: the data set does not support the runtime or the precision.
    """
    of_videos = catalogue.data_set(settings).reader.OF_VIDEOS
    requested = settings.runtime
    if requested == config.Runtime() and (settings.backbone == "compact" or not of_videos):
        return dataclasses.replace(settings, runtime=config.FLOAT32)
    if not of_videos and requested != config.FLOAT32:
        raise errors.InputError(
            f"`runtime={requested.name}` and `precision={requested.precision}` are not available "
            f"for {settings.dataset}, which is not made of videos and uses tensorflow in float32; "
            "leave them out"
        )
    return dataclasses.replace(settings, runtime=runtime.resolve(requested))


def _key(settings: config.Preparation, backbone_digest: str, time_step: float) -> dict[str, Any]:
    """Returns everything that records depend on except their sources, as plain JSON data."""
    key = {
        "version": VERSION,
        "dataset": settings.dataset,
        "targets": settings.targets,
        "partitions": settings.partitions,
        "video_pattern": settings.video_pattern,
        "rating_scale": settings.rating_scale,
        "max_rating_gap": settings.max_rating_gap,
        "clip_frames": settings.clip.frames,
        "time_step": round(time_step, 6),
        "backbone": settings.backbone,
        "backbone_digest": backbone_digest,
        "runtime": dataclasses.asdict(settings.runtime),
        "alignment": dataclasses.asdict(config.Alignment()),
        "tracking": [face_track.TRACK_VERSION, dataclasses.asdict(config.Tracking())],
    }
    return json.loads(json.dumps(key))


def _file(
    key: dict[str, Any],
    settings: config.Preparation,
    source: reader.Source,
    folder: pathlib.Path,
) -> pathlib.Path:
    """Returns the file of a recording's records, with a digest of all they depend on in its name.

    The partitions are left out, so that the same recording can be used in several splits. The
    scale is that of the recording.
    """
    own = {"partitions": {}, "rating_scale": source.rating_scale}
    content: list = [key | own, source.name]
    if settings.runtime.precision == "int8":
        content.append(_int8_digest(settings))
    content.append([_relative(source.video, folder), *video.open_video(source.video).fingerprint])
    for path in source.ratings:
        content.append([_relative(path, folder), hashlib.sha256(path.read_bytes()).hexdigest()])
    parent = pathlib.Path(settings.data_dir) / "segments" / str(settings.dataset)
    return parent / f"{files.safe_name(source.name)}-{_digest(content)}.tfrecord"


@functools.lru_cache(maxsize=1)
def _int8_digest(settings: config.Preparation) -> str:
    return runtime.int8_id(settings.backbone, settings.backbone_weights, settings.data_dir)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGEST_LENGTH]


def _relative(path: pathlib.Path, folder: pathlib.Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _folder(settings: config.Preparation, key: Mapping[str, Any], digest: str) -> pathlib.Path:
    """Returns the folder of a data set; its name has the main settings, and a digest of all."""
    clip = f"{key['clip_frames']}x{key['time_step']:g}s"
    name = f"{settings.backbone}-{key['backbone_digest']}-{clip}"
    if settings.runtime != config.FLOAT32:
        name += f"-{settings.runtime.name}-{settings.runtime.precision}"
    return pathlib.Path(settings.data_dir) / str(settings.dataset) / f"{name}-{digest}" / VERSION


def _write(
    records_folder: pathlib.Path,
    settings: config.Preparation,
    document: dict[str, Any],
    paths: Mapping[str, Sequence[pathlib.Path]],
) -> None:
    """Writes the folder of a data set, complete or not at all."""
    document |= {"files": {split: list(map(str, part)) for split, part in paths.items()}}
    size = backbone.FEATURE_SIZE[settings.backbone]
    features = example_format.features_dict(size, len(settings.targets))
    with files.whole_folder(records_folder) as temporary, files.tensorflow_output(records_folder):
        shards.assemble(temporary, str(settings.dataset), VERSION, features, paths)
        for split, part in paths.items():
            for number, path in enumerate(part):
                shards.link(
                    path.with_suffix(".npz"), temporary / record_files.sidecar(split, number)
                )
        (temporary / record_files.DOCUMENT).write_text(
            json.dumps(document, indent=2) + "\n", **files.ENCODING
        )


def _failures(problems: Mapping[str, str], splits: Mapping[str, Sequence[str]]) -> str:
    """Returns an error message that lists the recordings that failed, and says what to do."""
    count = sum(map(len, splits.values()))
    listed = "\n  ".join(f"{name}: {problem}" for name, problem in problems.items())
    finished = {
        split: ",".join(name for name in names if name not in problems)
        for split, names in splits.items()
    }
    options = " ".join(
        f"`{split}_recordings={names}`" for split, names in finished.items() if names
    )
    return (
        f"{len(problems)} of {count} recordings failed, in {making.ATTEMPTS} attempts each:\n"
        f"  {listed}\n"
        f"The others are finished. Fix the files of these, or leave them out with {options}, and "
        "start again: the finished recordings are kept"
    )
