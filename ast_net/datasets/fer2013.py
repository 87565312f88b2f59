"""FER2013 (Goodfellow et al., ICONIP 2013): 48x48 grey faces, each with one of seven expressions."""

import contextlib
import csv
import gzip
import hashlib
import pathlib
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from ast_net import errors
from ast_net.cnn import expression

SIZE = 48
CSV_NAMES = ("fer2013.csv", "fer2013.csv.gz")
HEADER = ["emotion", "pixels", "Usage"]
SPLITS = {"Training": "train", "PublicTest": "public_test", "PrivateTest": "private_test"}
FOLDER_SPLITS = ("train", "test")
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")
# Of the csv, and of all splits together; 12 labels differ between the release and the paper at most.
COUNTS = {"train": 28_709, "public_test": 3_589, "private_test": 3_589}
CLASS_COUNTS = dict(
    zip(expression.EXPRESSIONS, (4_953, 547, 5_121, 8_989, 6_077, 4_002, 6_198), strict=True)
)
_CLASS_TOLERANCE = 10
_ERRORS_SHOWN = 5


class Fer2013(tfds.core.GeneratorBasedBuilder):
    """Pictures uint8 [48, 48, 1] and their expressions, in the splits of the release."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    FER2013 is at https://www.kaggle.com/competitions/challenges-in-representation-learning-facial-
    expression-recognition-challenge/data. Give the folder that holds fer2013.csv or fer2013.csv.gz, or
    the folders train and test, each with one folder of pictures for each of
    angry, disgust, fear, happy, sad, surprise and neutral.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 1), encoding_format="png"),
                    "label": tfds.features.ClassLabel(names=expression.EXPRESSIONS),
                }
            ),
            supervised_keys=("image", "label"),
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Iterator]:
        source = find_source(pathlib.Path(dl_manager.manual_dir))
        self.info.metadata["source"] = source_id(source)
        read = read_folders(source) if source.is_dir() else read_csv(source)
        if not source.is_dir():
            check_counts(source, read)
        return {
            split: self._generate_examples(images, labels)
            for split, (images, labels) in read.items()
        }

    def _generate_examples(
        self, images: np.ndarray, labels: np.ndarray
    ) -> Iterator[tuple[int, dict]]:
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield number, {"image": image, "label": int(label)}


Split = tuple[np.ndarray, np.ndarray]


def load(data_dir: str, manual_dir: str | None) -> dict[str, Split]:
    """Prepares FER2013 if need be and reads it into memory.

    Args:
      data_dir: where TFDS keeps it.
      manual_dir: the release; not needed once it is prepared.

    Returns:
      For each split its pictures uint8 [n, 48, 48, 1] and labels int64 [n].

    Raises:
      InputError: the source is missing or broken, or what is prepared is of another source.
    """
    builder = Fer2013(data_dir=data_dir)
    folder = pathlib.Path(manual_dir) if manual_dir else None
    if builder.is_prepared():
        if folder and folder.is_dir():
            _check_source(builder, folder)
    elif folder is None or not folder.is_dir():
        raise errors.InputError(
            "fer2013 is not prepared yet, and its source folder is "
            f"{'not given' if manual_dir is None else f'missing: {manual_dir}'}: give --manual_dir=FOLDER."
            f"\n{builder.MANUAL_DOWNLOAD_INSTRUCTIONS.rstrip()}"
        )
    else:
        logging.info("preparing fer2013 in %s", builder.data_dir)
        tfds.disable_progress_bar()
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
        )
    return {split: _read_split(builder, split) for split in builder.info.splits}


def _read_split(builder: tfds.core.DatasetBuilder, split: str) -> Split:
    pairs = builder.as_dataset(split=split, as_supervised=True, shuffle_files=False)
    number = builder.info.splits[split].num_examples
    images, labels = next(iter(pairs.batch(number)))
    return images.numpy(), labels.numpy()


def _check_source(builder: tfds.core.DatasetBuilder, folder: pathlib.Path) -> None:
    found, expected = source_id(find_source(folder)), builder.info.metadata["source"]
    if found != expected:
        raise errors.InputError(
            f"{builder.data_dir}: this was prepared from other files ({expected}) than those in {folder} "
            f"({found}). Give another --data_dir, or delete this folder to prepare again"
        )


def find_source(folder: pathlib.Path) -> pathlib.Path:
    """The csv file in the folder, or the folder itself if it holds pictures.

    Raises:
      InputError: it has neither.
    """
    for name in CSV_NAMES:
        if (folder / name).is_file():
            return folder / name
    if all((folder / split).is_dir() for split in FOLDER_SPLITS):
        return folder
    raise errors.InputError(
        f"{folder}: found none of {', '.join(CSV_NAMES)} and not the folders {' and '.join(FOLDER_SPLITS)}; "
        "give the folder that holds FER2013 with --manual_dir"
    )


def source_id(source: pathlib.Path) -> str:
    """A digest of the csv file, or of the names and sizes of the pictures."""
    if source.is_dir():
        listed = "".join(
            f"{path.relative_to(source).as_posix()} {path.stat().st_size}\n"
            for split in FOLDER_SPLITS
            for path in sorted((source / split).rglob("*"))
            if path.is_file()
        )
        return f"pictures {hashlib.sha256(listed.encode()).hexdigest()[:16]}"
    with source.open("rb") as file:
        return f"csv {hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"


def read_csv(path: pathlib.Path) -> dict[str, Split]:
    """Reads fer2013.csv, plain or compressed with gzip, whichever its name.

    Raises:
      InputError: it is not FER2013's csv, or rows are malformed; the first of them are named.
    """
    images: dict[str, list] = {split: [] for split in SPLITS.values()}
    labels: dict[str, list] = {split: [] for split in SPLITS.values()}
    wrong: list[str] = []
    with _broken_file(path), _open(path) as file:
        rows = csv.reader(file)
        header = next(rows, [])
        if header != HEADER:
            raise errors.InputError(
                f"{path}, line 1: found {','.join(header)[:80]!r}, expected the header {','.join(HEADER)!r}"
            )
        for row in rows:
            try:
                label, image, split = parse_row(row)
            except ValueError as error:
                wrong.append(f"line {rows.line_num}: {error}")
                continue
            images[split].append(image)
            labels[split].append(label)
    if wrong:
        shown = "\n  ".join(wrong[:_ERRORS_SHOWN])
        raise errors.InputError(
            f"{path}: {len(wrong)} rows are malformed:\n  {shown}\n"
            f"{'' if len(wrong) <= _ERRORS_SHOWN else '  ...'}Mend or delete these rows, or fetch the file anew"
        )
    return {
        split: (np.array(images[split], np.uint8), np.array(labels[split]))
        for split in images
        if images[split]
    }


def parse_row(row: list[str]) -> tuple[int, np.ndarray, str]:
    """A row of the csv as label, picture uint8 [48, 48, 1] and split.

    Raises:
      ValueError: what is wrong with it.
    """
    if len(row) != len(HEADER):
        raise ValueError(f"found {len(row)} columns, expected {len(HEADER)}")
    code, pixels, usage = row
    if code not in map(str, range(len(expression.EXPRESSIONS))):
        raise ValueError(f"found emotion {code!r}, expected 0 to {len(expression.EXPRESSIONS) - 1}")
    if usage not in SPLITS:
        raise ValueError(f"found Usage {usage!r}, expected one of {', '.join(SPLITS)}")
    try:
        values = np.array(pixels.split(), np.int64)
    except ValueError:
        raise ValueError("the pixels are not whole numbers") from None
    if len(values) != SIZE * SIZE:
        raise ValueError(f"found {len(values)} pixels, expected {SIZE * SIZE}")
    if values.min() < 0 or values.max() > 255:
        raise ValueError(f"found pixels from {values.min()} to {values.max()}, expected 0 to 255")
    return int(code), values.astype(np.uint8).reshape(SIZE, SIZE, 1), SPLITS[usage]


@contextlib.contextmanager
def _broken_file(path: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError, csv.Error) as error:
        raise errors.InputError(
            f"{path}: the file is broken or cut off: {error}; fetch it anew"
        ) from error


def _open(path: pathlib.Path):
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if compressed:
        return gzip.open(path, "rt", encoding="ascii", newline="")
    return path.open("rt", encoding="ascii", newline="")


def check_counts(path: pathlib.Path, splits: dict[str, Split]) -> None:
    """Warns if the splits or classes have other sizes than in the release."""
    found = {split: len(labels) for split, (_, labels) in splits.items()}
    if found != COUNTS:
        logging.warning("%s: found %s pictures, the release has %s", path, found, COUNTS)
        return
    every = np.concatenate([labels for _, labels in splits.values()])
    classes = dict(
        zip(expression.EXPRESSIONS, np.bincount(every, minlength=7).tolist(), strict=True)
    )
    if any(abs(classes[name] - CLASS_COUNTS[name]) > _CLASS_TOLERANCE for name in classes):
        logging.warning(
            "%s: found %s pictures of each class, the release has %s: are the codes in another order?",
            path,
            classes,
            CLASS_COUNTS,
        )


def read_folders(folder: pathlib.Path) -> dict[str, Split]:
    """Reads {train,test}/{angry,...}/*.jpg or png; colour is turned into grey, other sizes into 48x48.

    Raises:
      InputError: a class has no folder or picture, or a picture cannot be read.
    """
    splits = {}
    for split in FOLDER_SPLITS:
        images, labels = [], []
        for label, name in enumerate(expression.EXPRESSIONS):
            paths = sorted(
                path
                for path in (folder / split / name).glob("*")
                if path.suffix.lower() in PICTURE_SUFFIXES
            )
            if not paths:
                raise errors.InputError(
                    f"{folder / split / name}: found no pictures, expected some "
                    f"({', '.join(PICTURE_SUFFIXES)}) of each of {', '.join(expression.EXPRESSIONS)}"
                )
            images += [_read_picture(path) for path in paths]
            labels += [label] * len(paths)
        splits[split] = np.stack(images), np.array(labels)
    return splits


def _read_picture(path: pathlib.Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise errors.InputError(f"{path}: cannot be read as a picture; mend or delete it")
    if image.shape != (SIZE, SIZE):
        image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return image[:, :, np.newaxis]
