"""RECOLA (Ringeval et al., FG Workshops 2013), as its owners release it and as the AVEC challenges do."""

import functools
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ast_net.datasets import annotations, gold_standard, recola_layouts
from ast_net.records import builder

VIDEOS = recola_layouts.OWN.videos[0]
RATINGS = recola_layouts.OWN.ratings


class Recola(builder.SegmentsBuilder):
    """Segments of RECOLA's recordings: fc6 and gold standard of each frame (`example_format.features_dict`).

    Attributes:
      PARTITIONS: the recordings of each split; empty for those of the layout that is found.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS: str | None = f"""
    RECOLA is handed out by its owners, https://diuf.unifr.ch/main/diva/recola/, to those who sign their
    agreement. Give the folder that holds, for every recording, the files of one of{recola_layouts.EXPECTED}
    Of several the first in this list is read.
    """
    PARTITIONS: dict[str, tuple[str, ...]] = {}

    def recordings(self, folder: pathlib.Path) -> dict[str, list[builder.Source]]:
        layout = recola_layouts.recognise(folder)[0]
        partitions = self.builder_config.partitions or self.PARTITIONS or layout.partitions
        return {
            split: [self._source(layout, folder, name) for name in names]
            for split, names in partitions.items()
        }

    def _folder(self, dl_manager: tfds.download.DownloadManager) -> pathlib.Path:
        folder = super()._folder(dl_manager)
        layout, *others = recola_layouts.recognise(folder)
        logging.info("%s: %s, ratings in %s", folder, layout.name, layout.ratings)
        for other in others:
            logging.warning(
                "%s: not read: %s, ratings in %s. Give a folder without %s to read these",
                folder,
                other.name,
                other.ratings,
                layout.ratings,
            )
        return folder

    def _source(
        self, layout: recola_layouts.Layout, folder: pathlib.Path, name: str
    ) -> builder.Source:
        targets = self.builder_config.targets
        files = {target: layout.rating_file(folder, target, name) for target in targets}
        rated = layout.rater_files(folder, targets, name)
        return builder.Source(
            name,
            layout.video(folder, name),
            list(files.values()),
            functools.partial(read_gold, name, files, layout.read),
            functools.partial(read_raters, rated) if rated else None,
        )


def read_gold(
    name: str,
    files: dict[str, pathlib.Path],
    read: Callable[[pathlib.Path], annotations.Ratings] = annotations.read_ratings,
) -> tuple[np.ndarray, np.ndarray]:
    """The times float64 [R] of a recording's ratings and the gold standard [R, D] of each target's file.

    Args:
      name: the recording's.
      files: of each target.
      read: reads one.

    Raises:
      InputError: a file is missing or not what it should be.
    """
    return gold_standard.of_targets(name, {target: read(path) for target, path in files.items()})


def read_raters(files: dict[str, pathlib.Path]) -> dict[str, annotations.Ratings]:
    """What each rater said of each target.

    Raises:
      InputError: a file is missing or not what it should be.
    """
    return {target: annotations.read_ratings(path) for target, path in files.items()}
