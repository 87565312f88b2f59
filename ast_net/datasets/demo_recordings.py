"""The demo data set: generated recordings in RECOLA's layout, for users without licensed data."""

import pathlib

from ast_net.datasets import reader, recola, recola_layouts
from ast_net.demo import raters, synthesis

# With six recordings or more, the scores come with a bootstrap interval.
PARTITIONS: reader.Partitions = {
    "train": tuple(f"P{number}" for number in range(1, 9)),
    "dev": tuple(f"P{number}" for number in range(9, 15)),
}


class Demo(recola.Recola):
    """Recordings that are generated on first use and read with RECOLA's reader."""

    REACTION_DELAY = raters.REACTION_DELAY

    def folder(self) -> pathlib.Path:
        folder = pathlib.Path(self.settings.data_dir) / "demo_recordings"
        partitions = self.settings.partitions or self.partitions(folder)
        names = [name for split in partitions.values() for name in split]
        synthesis.generate(folder, names, recola_layouts.RELEASE)
        return folder

    def has_folder(self) -> bool:
        return True

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        return PARTITIONS
