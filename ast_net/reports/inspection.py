"""Describes a prepared data set: tables, agreement between raters, contact sheets."""

import pathlib
from collections.abc import Sequence
from typing import Any

from absl import logging

from ast_net import config, files, screen
from ast_net.datasets import reader
from ast_net.faces import face_track, video
from ast_net.records import catalogue, making, store
from ast_net.reports import contact_sheet, description, figures, rater_report, tables


def describe(settings: config.Preparation, output: config.Description) -> None:
    """Prints tables about a data set and writes them to a folder; prepares the data if necessary.

    Writes recordings.csv, splits.csv and description.json. If the data set's folder is given, also
    writes a page of faces for each recording, faces/NAME.png (`files.safe_names`), and, if it
    has ratings of two raters or more, agreement.csv, pairs.csv and agreement.png.
    """
    records = store.prepare(settings, needed=())
    default = f"{settings.data_dir}/description/{settings.dataset}"
    folder = pathlib.Path(output.output_dir or default)
    recordings, splits = description.tabulate(records)
    tables.write(folder / "recordings.csv", recordings)
    tables.write(folder / "splits.csv", splits)
    print(f"{records.dataset}, prepared in {screen.shown(records.folder)}\n")
    for table in (splits, recordings):
        print(tables.text([_compact(row, records.targets) for row in table]) + "\n")
    document: dict[str, Any] = {"dataset": records.dataset, "records": str(records.folder)}
    document |= {"splits": splits, "recordings": recordings}
    names = ["recordings.csv", "splits.csv", "description.json"]
    source_reader = catalogue.data_set(settings).reader(settings)
    if not source_reader.OF_VIDEOS:
        logging.info("no rater agreement and no pages of faces: this data set has no videos")
    elif not source_reader.has_folder():
        logging.info(
            "no rater agreement and no pages of faces, for which the videos and ratings are "
            "needed: give their folder as `manual_dir`"
        )
    else:
        parts = source_reader.sources(source_reader.folder(), needed=()).values()
        sources = [source for part in parts for source in part]
        document["agreement"] = _agreement(sources, folder)
        drawn = sources if output.faces else []
        names += ["agreement.csv", "pairs.csv", "agreement.png"] if document["agreement"] else []
        names += ["faces/"] if drawn else []
        file_names = files.safe_names(source.name for source in drawn)
        pages = screen.counted(zip(drawn, file_names), "drawing faces", len(drawn), "recordings")
        for source, name in pages:
            film = video.open_video(source.video)
            cache = pathlib.Path(settings.data_dir, making.TRACKS)
            track = face_track.cached_track(film, cache, config.Tracking())
            page = contact_sheet.make(source.name, film, track, output.faces)
            figures.save(page, folder / "faces" / f"{name}.png")
    tables.write_json(folder / "description.json", document)
    screen.wrote(folder, *names)


def _agreement(sources: Sequence[reader.Source], folder: pathlib.Path) -> list[tables.Row]:
    """Prints and writes how well raters agree; returns a row for each recording and target."""
    rated = {s.name: s.read_raters() for s in sources if s.read_raters is not None}
    if not rated:
        logging.info("no rater agreement: this data set has no ratings of individual raters")
        return []
    rows, pairs = rater_report.tabulate(rated)
    if not pairs:
        logging.info("no rater agreement: no recording was rated by two people or more")
        return []
    tables.write(folder / "agreement.csv", rows)
    tables.write(folder / "pairs.csv", pairs)
    figures.save(rater_report.figure(rows, pairs), folder / "agreement.png")
    print("agreement between raters: CC and CCC over pairs of raters, and Cronbach's alpha")
    print(tables.text(rows))
    return rows


def _compact(row: tables.Row, targets: Sequence[str]) -> tables.Row:
    """Joins the statistics of each target in one cell, to fit the terminal."""
    compact = {k: v for k, v in row.items() if not k.startswith(tuple(f"{t}_" for t in targets))}
    for target in targets:
        values = [row[f"{target}_{kind}"] for kind in ("min", "mean", "max", "sd")]
        compact[f"{target}: min mean max sd"] = " ".join(f"{value:6.3f}" for value in values)
    return compact
