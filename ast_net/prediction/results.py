"""The folder of an input's results: which input they are of, and whether they are complete.

A file in the folder says from which input and with which settings its results are made. So another
input of the same name does not replace them, and a call that was interrupted can be repeated.
"""

import contextlib
import dataclasses
import json
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ast_net import config, errors, files
from ast_net.prediction import summaries
from ast_net.reports import tables

RECORD = config.RECORD
# Increase this whenever the code makes different results from the same input and settings.
VERSION = 2


@dataclasses.dataclass(frozen=True)
class Origin:
    """What results are made of.

    Attributes:
      input: the absolute path of the file, folder or pattern.
      content: size of the input as text, and the time of its last change, in ns.
      settings: all settings that the results depend on, and a digest of the networks; JSON data.
    """

    input: str
    content: tuple[str, int]
    settings: dict[str, Any]
    version: int = VERSION


def check(recordings: Mapping[str, pathlib.Path], settings: config.Outputs) -> None:
    """Checks that nothing of other inputs would be replaced, unless `overwrite` is set.

    Raises:
      InputError: a folder in `output_dir` has results of another input, or other files, or the
        summary in it is of something else.
    """
    for name, path in recordings.items() if settings.files and not settings.overwrite else ():
        folder = pathlib.Path(settings.output_dir) / name
        if not folder.exists() or (folder.is_dir() and files.is_empty(folder)):
            continue
        owner = _read(folder).get("input")
        if owner != absolute(path):
            found = f"the results of {owner}" if owner else f"files, but no {RECORD} of an input"
            raise errors.InputError(
                f"{folder}: is the place for the results of {absolute(path)}, but holds {found}: "
                "give another `output_dir`, or `overwrite` to replace them"
            )
    summary_rows(settings)


def summary_rows(settings: config.Outputs) -> list[tables.Row]:
    """Returns the rows of the summary that other calls have written; none if there is no summary.

    Raises:
      InputError: the file is something else, and `overwrite` is not set.
    """
    path = pathlib.Path(settings.output_dir) / config.SUMMARY
    try:
        remedy = "give another `output_dir`, or `overwrite` to replace it"
        return summaries.read(path, remedy) if path.exists() else []
    except errors.InputError:
        if settings.overwrite:
            return []
        raise


def finished(
    folder: pathlib.Path, origin: Origin, names: Iterable[str]
) -> summaries.Summary | None:
    """Returns the summary of a folder's results if they are complete and of this origin.

    Args:
      folder: the folder of an input.
      origin: what its results are made of.
      names: the names of the results, which may have been deleted since.
    """
    files.sweep(folder)
    if not all((folder / name).exists() for name in names):
        return None
    record = _read(folder)
    summary = record.pop("summary", None)
    try:
        return summaries.Summary(**summary) if record == _json(origin) else None
    except TypeError:  # Not complete, or the summary is damaged.
        return None


@contextlib.contextmanager
def claimed(folder: pathlib.Path, origin: Origin) -> Iterator[None]:
    """Claims the folder for an input while its results are made.

    Outputs of another input are deleted first, and those of photographs that are now a film, or the
    other way round. If nothing was written, no folder is left.
    """
    earlier = _read(folder)
    if earlier and _kind(earlier) != _kind(_json(origin)):
        for name in filter(None, config.OUTPUTS.values()):
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / config.PHOTOGRAPH_OUTPUTS["video"], ignore_errors=True)
    try:
        _write(folder, _json(origin))
        yield
    finally:
        if folder.is_dir() and {path.name for path in folder.iterdir()} <= {RECORD}:
            (folder / RECORD).unlink(missing_ok=True)
            folder.rmdir()


def finish(folder: pathlib.Path, origin: Origin, summary: summaries.Summary) -> None:
    """Notes that the results of a claimed folder are complete."""
    _write(folder, _json(origin) | tables.json_data({"summary": vars(summary)}))


def absolute(path: pathlib.Path) -> str:
    """Returns how the record names an input: its absolute path without links."""
    return str(path.resolve())


def _kind(record: dict[str, Any]) -> tuple[Any, Any]:
    """Returns the input of a record, and what its pictures were taken for."""
    settings = record.get("settings")
    return record.get("input"), settings.get("pictures") if isinstance(settings, dict) else None


def _json(origin: Origin) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(origin)))


def _read(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the content of a folder's record; nothing if it is missing or damaged."""
    try:
        record = json.loads((folder / RECORD).read_text(**files.ENCODING))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _write(folder: pathlib.Path, record: dict[str, Any]) -> None:
    with files.whole(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", **files.ENCODING)
