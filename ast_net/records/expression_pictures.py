"""Prepares FER2013 (Goodfellow et al., ICONIP 2013) with TFDS and loads it into memory."""

import contextlib
import io
import os
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ast_net import errors, screen
from ast_net.cnn import expression_head
from ast_net.datasets import fer2013


class Fer2013(tfds.core.GeneratorBasedBuilder):
    """Grey faces, uint8 [48, 48, 1], and their expressions (one of seven), split as released."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    FER2013 is at https://www.kaggle.com/competitions/challenges-in-representation-learning-facial-
    expression-recognition-challenge/data. Give the folder that holds fer2013.csv or fer2013.csv.gz,
    or the folders train and test, each with one folder of pictures for each of angry, disgust,
    fear, happy, sad, surprise and neutral.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        shape = (fer2013.SIZE, fer2013.SIZE, 1)
        image = tfds.features.Image(shape=shape, encoding_format="png")
        label = tfds.features.ClassLabel(names=expression_head.EXPRESSIONS)
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict({"image": image, "label": label}),
            supervised_keys=("image", "label"),
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        source = fer2013.find_source(pathlib.Path(dl_manager.manual_dir))
        self.info.metadata["source"] = fer2013.source_id(source)
        if source.is_dir():
            splits = fer2013.read_folders(source)
        else:
            splits = fer2013.read_csv(source)
            fer2013.check_counts(source, splits)
        return {split: self._generate_examples(*pairs) for split, pairs in splits.items()}

    def _generate_examples(
        self, images: np.ndarray, labels: np.ndarray
    ) -> Iterator[tuple[int, dict]]:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield number, {"image": image, "label": int(label)}


def load(data_dir: str, manual_dir: str | None) -> dict[str, fer2013.Split]:
    """Prepares FER2013, unless that is already done, and loads it into memory.

    Args:
      data_dir: where prepared data sets are kept.
      manual_dir: the folder of the release; not needed once it is prepared.

    Returns:
      For each split its pictures uint8 [n, 48, 48, 1] and labels int64 [n].

    Raises:
      InputError: the release is missing or damaged, or FER2013 was prepared from different files.
    """
    builder = Fer2013(data_dir=data_dir)
    folder = pathlib.Path(manual_dir) if manual_dir and os.path.isdir(manual_dir) else None
    if builder.is_prepared():
        expected = builder.info.metadata["source"]
        found = fer2013.source_id(fer2013.find_source(folder)) if folder else expected
        if found != expected:
            raise errors.InputError(
                f"{builder.data_dir}: this was prepared from other files ({expected}) than those in "
                f"{folder} ({found}). Give another `data_dir`, or delete this folder to prepare again"
            )
    elif folder is None:
        problem = "not given" if manual_dir is None else f"missing: {manual_dir}"
        raise errors.InputError(
            f"fer2013 is not prepared yet, and its folder is {problem}: give `manual_dir=FOLDER`."
            f"\n{builder.MANUAL_DOWNLOAD_INSTRUCTIONS.rstrip()}"
        )
    else:
        logging.info("preparing fer2013")
        tfds.disable_progress_bar()
        download = tfds.download.DownloadConfig(manual_dir=manual_dir)
        with contextlib.redirect_stdout(io.StringIO()):  # TFDS speaks of a download.
            builder.download_and_prepare(download_config=download)
        screen.wrote(builder.data_dir)
    return tfds.as_numpy(builder.as_dataset(batch_size=-1, as_supervised=True))
