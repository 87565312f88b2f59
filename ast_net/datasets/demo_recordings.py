"""A made-up data set in RECOLA's layout, for those who have no licensed data yet."""

import pathlib

import tensorflow_datasets as tfds

from ast_net.datasets import recola
from ast_net.demo import synthesis


class Demo(recola.Recola):
    """Segments of generated recordings, in RECOLA's layout and read with the same code."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = None  # there is nothing to download
    REACTION_DELAY = synthesis.REACTION_DELAY
    PARTITIONS = {
        "train": tuple(f"P{number}" for number in range(1, 9)),
        "dev": tuple(f"P{number}" for number in range(9, 13)),
    }

    def source_folder(self, manual_dir: str | None) -> pathlib.Path | None:
        folder = pathlib.Path(self.data_dir).parents[2] / "demo_recordings"
        return folder if folder.is_dir() else None

    def _folder(self, dl_manager: tfds.download.DownloadManager) -> pathlib.Path:
        """Generates what is not there yet of `demo_recordings` in the data folder."""
        folder = pathlib.Path(self.data_dir).parents[2] / "demo_recordings"
        partitions = self.builder_config.partitions or self.PARTITIONS
        synthesis.generate(folder, [name for names in partitions.values() for name in names])
        return folder
