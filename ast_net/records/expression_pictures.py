"""Prepares FER2013 and FER+ with TFDS and loads them into memory."""

import os
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ast_net import errors
from ast_net.datasets import fer2013, ferplus

_IMAGE = tfds.features.Image(shape=(fer2013.SIZE, fer2013.SIZE, 1), encoding_format="png")


class _Pictures(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """Grey faces with what people said of them, split as released."""

    VERSION = tfds.core.Version("1.0.0")
    # What is known of a picture, and TFDS's feature for it.
    KEY: str
    FEATURE: tfds.features.FeatureConnector

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict({"image": _IMAGE, self.KEY: self.FEATURE}),
            supervised_keys=("image", self.KEY),
            metadata=tfds.core.MetadataDict(),
        )

    @classmethod
    def source_id(cls, folder: pathlib.Path) -> str:
        """Computes a digest of the files that a folder is prepared from."""
        raise NotImplementedError

    @classmethod
    def read(cls, folder: pathlib.Path) -> dict[str, fer2013.Split]:
        """Reads the release."""
        raise NotImplementedError

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        folder = pathlib.Path(dl_manager.manual_dir)
        self.info.metadata["source"] = self.source_id(folder)
        splits = self.read(folder)
        return {split: self._generate_examples(*pairs) for split, pairs in splits.items()}

    def _generate_examples(
        self, images: np.ndarray, values: np.ndarray
    ) -> Iterator[tuple[int, dict]]:
        for number, (image, value) in enumerate(zip(images, values, strict=True)):
            yield number, {"image": image, self.KEY: value}


class Fer2013(_Pictures):
    """FER2013: grey faces, uint8 [48, 48, 1], and their expressions (one of seven)."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    FER2013 is at https://www.kaggle.com/competitions/challenges-in-representation-learning-facial-
    expression-recognition-challenge/data. Give the folder that holds fer2013.csv or fer2013.csv.gz,
    or the folders train and test, each with one folder of pictures for each of angry, disgust,
    fear, happy, sad, surprise and neutral.
    """
    KEY, FEATURE = "label", tfds.features.ClassLabel(names=fer2013.EXPRESSIONS)

    @classmethod
    def source_id(cls, folder: pathlib.Path) -> str:
        return fer2013.source_id(fer2013.find_source(folder))

    @classmethod
    def read(cls, folder: pathlib.Path) -> dict[str, fer2013.Split]:
        return fer2013.read(folder)


class Ferplus(_Pictures):
    """FER+: FER2013's faces, and ten people's votes on each, uint8 [10] (see datasets/ferplus)."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    FER+ is fer2013new.csv at https://github.com/microsoft/FERPlus, votes on the pictures of
    FER2013, which are at https://www.kaggle.com/competitions/challenges-in-representation-learning-
    facial-expression-recognition-challenge/data. Give the folder that holds fer2013.csv or fer2013.csv.gz,
    with fer2013new.csv beside it, in its folder ferplus, or in a folder ferplus beside it.
    """
    KEY, FEATURE = "votes", tfds.features.Tensor(shape=(10,), dtype=np.uint8)

    @classmethod
    def source_id(cls, folder: pathlib.Path) -> str:
        paths = fer2013.find_source(folder), ferplus.find_votes(folder)
        return ", votes ".join(fer2013.source_id(path) for path in paths)

    @classmethod
    def read(cls, folder: pathlib.Path) -> dict[str, fer2013.Split]:
        return ferplus.read(folder)


BUILDERS = {"fer2013": Fer2013, "ferplus": Ferplus}


def load(dataset: str, data_dir: str, manual_dir: str | None) -> dict[str, fer2013.Split]:
    """Prepares a data set, unless that is already done, and loads it into memory.

    Args:
      dataset: fer2013 or ferplus.
      data_dir: where prepared data sets are kept.
      manual_dir: the folder of the release; not needed once it is prepared.

    Returns:
      For each split its pictures uint8 [n, 48, 48, 1] and FER2013's labels int64 [n], or FER+'s
      votes uint8 [n, 10].

    Raises:
      InputError: the release is missing or damaged, or was prepared from different files.
    """
    builder = BUILDERS[dataset](data_dir=data_dir)
    folder = pathlib.Path(manual_dir) if manual_dir and os.path.isdir(manual_dir) else None
    if builder.is_prepared():
        expected = builder.info.metadata["source"]
        found = builder.source_id(folder) if folder else expected
        if found != expected:
            raise errors.InputError(
                f"{builder.data_dir}: this was prepared from other files ({expected}) than those "
                f"in {folder} ({found}). Give another `data_dir`, or delete this folder to prepare "
                "again"
            )
    elif folder is None:
        problem = "not given" if manual_dir is None else f"missing: {manual_dir}"
        raise errors.InputError(
            f"{dataset} is not prepared yet, and its folder is {problem}: give `manual_dir=FOLDER`."
            f"\n{builder.MANUAL_DOWNLOAD_INSTRUCTIONS.rstrip()}"
        )
    else:
        logging.info("preparing %s in %s", dataset, builder.data_dir)
        tfds.disable_progress_bar()
        download = tfds.download.DownloadConfig(manual_dir=manual_dir)
        builder.download_and_prepare(download_config=download)
    return tfds.as_numpy(builder.as_dataset(batch_size=-1, as_supervised=True))
