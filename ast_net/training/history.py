"""history.csv: one row of figures an epoch."""

import csv
import pathlib

from ast_net import errors, files

History = list[dict[str, float]]


def read(path: pathlib.Path) -> History:
    """The rows of the file, without their number.

    Raises:
      InputError: the file is damaged.
    """
    try:
        with path.open(newline="") as file:
            return [
                {name: float(value) for name, value in row.items() if name != "epoch"}
                for row in csv.DictReader(file)
            ]
    except (ValueError, TypeError, csv.Error) as error:
        raise errors.InputError(
            f"{path}: expected a row of numbers for each epoch ({error}); give another --workdir"
        ) from error


def write(path: pathlib.Path, history: History) -> None:
    """Writes all rows, numbered from 1."""
    with files.whole(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["epoch", *history[0]])
        writer.writeheader()
        writer.writerows({"epoch": epoch, **row} for epoch, row in enumerate(history, start=1))
