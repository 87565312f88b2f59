"""A prepared data set for inspection: tables, agreement between raters, contact sheets."""

import pathlib
from collections.abc import Sequence
from typing import Any

import tensorflow_datasets as tfds
import tqdm

from ast_net.faces import tracking
from ast_net.records import builder
from ast_net.reports import contact_sheet, description, figures, rater_report, tables


def describe(
    prepared: tfds.core.DatasetBuilder, manual_dir: str | None, folder: pathlib.Path, faces: int
) -> None:
    """Prints a description of a prepared data set and writes it to a folder.

    Writes recordings.csv, splits.csv and description.json; if the source is there and has the
    ratings of each rater, also agreement.csv, pairs.csv and agreement.png; and a page of faces for
    each recording, faces/NAME.png.

    Args:
      prepared: the data set.
      manual_dir: the source folder of the data set, if there is one.
      folder: where to write; made if need be.
      faces: the number of faces on each page; 0 for no pages.
    """
    rows = description.recordings(prepared)
    settings = prepared.builder_config
    targets = settings.targets
    splits = description.splits(rows, targets)
    tables.write(folder / "recordings.csv", rows)
    tables.write(folder / "splits.csv", splits)
    print(f"{prepared.name}, prepared in {prepared.data_dir}\n")
    for table in (splits, rows):
        print(tables.text([_compact(row, targets) for row in table]) + "\n")
    document: dict[str, Any] = {"dataset": prepared.name, "records": str(prepared.data_dir)}
    document |= {"splits": splits, "recordings": rows}
    source = None
    if isinstance(prepared, builder.SegmentsBuilder):
        source = prepared.source_folder(manual_dir)
    if source is None:
        print("no rater agreement and no faces: they need the source folder, --manual_dir")
    else:
        recordings = [item for part in prepared.recordings(source).values() for item in part]
        document["agreement"] = _agreement(recordings, folder)
        for item in tqdm.tqdm(recordings, "faces", disable=not faces, leave=False):
            if faces:
                track = tracking.cached_track(item.video, prepared.tracks, settings.tracking)
                page = contact_sheet.make(item.name, item.video, track, settings.alignment, faces)
                figures.save(page, contact_sheet.path_of(folder / "faces", item.name))
    tables.write_json(folder / "description.json", document)
    print(f"\nsee {folder}")


def _agreement(sources: Sequence[builder.Source], folder: pathlib.Path) -> list[tables.Row]:
    """Prints and writes how well the raters agree: a row for each recording and target."""
    rated = {s.name: s.read_raters() for s in sources if s.read_raters is not None}
    if not rated:
        print("no rater agreement: this data set lacks the ratings of each rater")
        return []
    rows, pairs = rater_report.summary(rated), rater_report.pairs(rated)
    tables.write(folder / "agreement.csv", rows)
    tables.write(folder / "pairs.csv", pairs)
    figures.save(rater_report.figure(rows, pairs), folder / "agreement.png")
    print("agreement between raters: CC and CCC over pairs of raters, and Cronbach's alpha")
    print(tables.text(rows))
    return rows


def _compact(row: tables.Row, targets: Sequence[str]) -> tables.Row:
    """Brings the moments of each target into one cell, for a terminal."""
    compact = {k: v for k, v in row.items() if not k.startswith(tuple(f"{t}_" for t in targets))}
    for target in targets:
        values = [row[f"{target}_{kind}"] for kind in ("min", "mean", "max", "sd")]
        compact[f"{target}: min mean max sd"] = " ".join(f"{value:6.3f}" for value in values)
    return compact
