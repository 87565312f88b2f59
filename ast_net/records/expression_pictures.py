"""Prepares FER2013 (Goodfellow et al., ICONIP 2013) and FER+ with TFDS and loads them."""

import abc
import contextlib
import io
import os
import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ast_net import errors, files, screen
from ast_net.datasets import fer2013, ferplus

_IMAGE = tfds.features.Image(shape=(fer2013.SIZE, fer2013.SIZE, 1), encoding_format="png")


class _Pictures(  # type: ignore[call-arg]
    tfds.core.GeneratorBasedBuilder, skip_registration=True
):
    """Grey pictures of faces with labels or votes, split as released."""

    VERSION = tfds.core.Version("1.0.0")
    # The name and the TFDS feature of a picture's label or votes.
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
    @abc.abstractmethod
    def source_id(cls, folder: pathlib.Path) -> str:
        """Identifies the files in a folder by their digests."""

    @classmethod
    @abc.abstractmethod
    def read(cls, folder: pathlib.Path) -> dict[str, fer2013.Split]:
        """Reads a folder: for each split the pictures, and their labels or votes."""

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
    """FER2013: grey faces, uint8 [48, 48, 1], each with one of seven expressions."""

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
    """FER+: FER2013's faces, each with ten people's votes, uint8 [10] (`datasets/ferplus.py`)."""

    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    FER+ has votes on the pictures of FER2013. Its file is fer2013new.csv at
    https://github.com/microsoft/FERPlus, and FER2013 is at
    https://www.kaggle.com/competitions/challenges-in-representation-learning-facial-expression-
    recognition-challenge/data. Give the folder that holds fer2013.csv or fer2013.csv.gz, and put
    fer2013new.csv into it, or into a folder ferplus inside or beside it.
    """
    KEY, FEATURE = "votes", tfds.features.Tensor(shape=(10,), dtype=np.uint8)

    @classmethod
    def source_id(cls, folder: pathlib.Path) -> str:
        paths = fer2013.find_source(folder), ferplus.find_votes(folder)
        return ", votes ".join(fer2013.source_id(path) for path in paths)

    @classmethod
    def read(cls, folder: pathlib.Path) -> dict[str, fer2013.Split]:
        return ferplus.read(folder)


_REMEDY = "delete this folder, and prepare again"
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
      InputError: the release is missing or damaged, or the prepared data are of other files.
    """
    builder, expected = _open(dataset, data_dir)
    folder = pathlib.Path(manual_dir) if manual_dir and os.path.isdir(manual_dir) else None
    if expected is not None:
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
        with files.alone(pathlib.Path(data_dir) / dataset, f"preparing {dataset}"):
            builder, expected = _open(dataset, data_dir)
            if expected is None:
                logging.info(f"preparing {dataset}")
                tfds.disable_progress_bar()
                download = tfds.download.DownloadConfig(manual_dir=manual_dir)
                with contextlib.redirect_stdout(io.StringIO()):  # TFDS speaks of a download.
                    builder.download_and_prepare(download_config=download)
                screen.wrote(builder.data_dir)
    with files.reading(builder.data_dir, "prepared pictures", _REMEDY):
        return tfds.as_numpy(builder.as_dataset(batch_size=-1, as_supervised=True))


def _open(dataset: str, data_dir: str) -> tuple[_Pictures, str | None]:
    """Returns the data set, and the digest of its source if it is prepared.

    Raises:
      InputError: TFDS's metadata are damaged.
    """
    folder = pathlib.Path(data_dir) / dataset
    with files.reading(folder, "prepared pictures", _REMEDY):
        builder = BUILDERS[dataset](data_dir=data_dir)
        return builder, str(builder.info.metadata["source"]) if builder.is_prepared() else None
