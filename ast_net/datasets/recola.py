"""RECOLA (Ringeval et al., FG Workshops 2013), as released by its owners and by AVEC challenges."""

import functools
import pathlib
from collections.abc import Callable, Mapping

from absl import logging

from ast_net.datasets import annotations, reader, recola_layouts


class Recola(reader.Reader):
    """RECOLA, in any of its layouts.

    RECOLA is available from its owners, https://diuf.unifr.ch/main/diva/recola/, to those who sign
    their agreement. Give the folder that contains the files of all recordings in one of the layouts
    below; if it contains several, the first in this list is read. AVEC's test videos, test_1.mp4
    and so on, have no ratings: they are predicted, in the format of the challenge.
    """

    FRAME_RATE = 25.0
    RATING_STEP = 0.04
    RATING_FILE = "{target}/{recording}.arff"

    @classmethod
    def instructions(cls) -> str:
        return super().instructions() + recola_layouts.EXPECTED

    def folder(self) -> pathlib.Path:
        folder = super().folder()
        layout, *others = recola_layouts.recognise(folder)
        logging.info(f"{folder}: {layout.name}, ratings in {layout.ratings}")
        for other in others:
            logging.warning(
                f"{folder}: ignoring {other.name}, ratings in {other.ratings}; to use it, give a "
                f"folder without {layout.ratings}"
            )
        return folder

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        return recola_layouts.recognise(folder)[0].split(folder)

    def source(self, folder: pathlib.Path, name: str) -> reader.Source:
        layout, targets = recola_layouts.recognise(folder)[0], self.settings.targets
        files = {target: layout.rating_file(folder, target, name) for target in targets}
        rater_files = {t: folder / layout.raters / t / f"{name}.csv" for t in targets}
        has_raters = layout.raters and all(path.is_file() for path in rater_files.values())
        return reader.Source(
            name,
            layout.video(folder, name),
            list(files.values()),
            functools.partial(read, files, layout.read),
            functools.partial(read, rater_files) if has_raters else None,
        )


def read(
    files: Mapping[str, pathlib.Path],
    read_file: Callable[[pathlib.Path], annotations.Ratings] = annotations.read_ratings,
) -> dict[str, annotations.Ratings]:
    """Reads the rating file of each target.

    Raises:
      InputError: a file is missing or malformed.
    """
    return {target: read_file(path) for target, path in files.items()}
