"""A prepared data set as a person inspects it: tables, agreement between raters, contact sheets."""

import json
import pathlib
from collections.abc import Sequence

import tqdm

from ast_net import config, files
from ast_net.faces import face_track, video
from ast_net.records import builder
from ast_net.reports import contact_sheet, description, figures, rater_report, tables
from ast_net.training import runs


def describe(settings: config.Experiment, folder: pathlib.Path, faces: int) -> None:
    """Prints what is in a data set and writes it to a folder, preparing the data set if need be.

    Left there: recordings.csv, splits.csv, description.json; where the source is known and has ratings of
    each rater, agreement.csv, pairs.csv and agreement.png; and a page of faces a recording, faces/NAME.png.

    Args:
      settings: the data set, as for training.
      folder: where to write, made if need be.
      faces: on each page; 0 for no pages.
    """
    prepared = runs.prepare(settings)
    rows = description.recordings(prepared)
    targets = prepared.builder_config.targets
    splits = description.splits(rows, targets)
    tables.write(folder / "recordings.csv", rows)
    tables.write(folder / "splits.csv", splits)
    print(f"{settings.dataset}, prepared in {prepared.data_dir}\n")
    for table in (splits, rows):
        print(tables.text([_compact(row, targets) for row in table]) + "\n")
    document = {"dataset": settings.dataset, "records": str(prepared.data_dir)}
    parts: dict[str, list[description.Row]] = {"splits": splits, "recordings": rows}
    source = None
    if isinstance(prepared, builder.SegmentsBuilder):
        source = prepared.source_folder(settings.manual_dir)
    if source is None:
        print("no agreement of raters and no faces: they take the source folder, --manual_dir")
    else:
        sources = [each for part in prepared.recordings(source).values() for each in part]
        parts["agreement"] = _agreement(sources, folder)
        _pages(prepared, sources, folder / "faces", faces)
    with files.whole(folder / "description.json") as path:
        path.write_text(
            json.dumps(document | tables.without_nan(parts), indent=2, allow_nan=False) + "\n"
        )
    print(f"\nsee {folder}")


def _pages(prepared, sources: Sequence[builder.Source], folder: pathlib.Path, faces: int) -> None:
    settings = prepared.builder_config
    for source in tqdm.tqdm(sources, "faces", unit="recording", disable=not faces, leave=False):
        if faces:
            recording = video.open_video(source.video)
            track = face_track.cached_track(recording, prepared.tracks, settings.tracking)
            page = contact_sheet.make(source.name, recording, track, settings.alignment, faces)
            figures.save(page, contact_sheet.path_of(folder, source.name))


def _agreement(sources: Sequence[builder.Source], folder: pathlib.Path) -> list[description.Row]:
    """Prints and writes how well the raters agree; a row for each recording and target."""
    rated = {s.name: s.read_raters() for s in sources if s.read_raters is not None}
    if not rated:
        print("no agreement of raters: this data set has no ratings of each")
        return []
    rows, pairs = rater_report.summary(rated), rater_report.pairs(rated)
    tables.write(folder / "agreement.csv", rows)
    tables.write(folder / "pairs.csv", pairs)
    figures.save(rater_report.figure(rows, pairs), folder / "agreement.png")
    print("agreement between raters: CC and CCC over pairs of raters, and Cronbach's alpha")
    print(tables.text(rows))
    return rows


def _compact(row: description.Row, targets: Sequence[str]) -> description.Row:
    """A row with the numbers of a target in one cell, for a terminal."""
    short = {k: v for k, v in row.items() if not k.startswith(tuple(f"{t}_" for t in targets))}
    for target in targets:
        values = [row[f"{target}_{kind}"] for kind in ("min", "mean", "max", "sd")]
        short[f"{target}: min mean max sd"] = " ".join(f"{value:6.3f}" for value in values)
    return short
