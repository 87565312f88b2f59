"""Weka's ARFF as the AVEC challenges 2015 to 2018 hand out their gold standard.

SciPy's reader takes no string attributes, and these files name the recording in each row.
"""

import pathlib
import re
from collections.abc import Sequence

from ast_net import errors
from ast_net.datasets import separated_text

# A line before @data: blank, a remark, the relation, or an attribute with its name.
_HEAD = re.compile(
    r"(?:%.*|@relation\b.*|@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+\S.*)?", re.IGNORECASE
)


def read(path: pathlib.Path, required: Sequence[str]) -> separated_text.Table:
    """Reads the rows and the names of the attributes.

    Args:
      path: the file.
      required: attributes that it must have, once each, in lower case.

    Raises:
      InputError: the file is missing or no ARFF, lacks a required attribute or any row, or a row
        has too many or too few cells.
    """
    lines = separated_text.split_lines(separated_text.read_text(path))
    names: list[str] = []
    for number, line in enumerate(lines, 1):
        if names and line.lower().split()[:1] == ["@data"]:
            # Remarks stay, as blank lines, so that the lines that follow keep their numbers.
            data = "\n".join("" if row.lstrip().startswith("%") else row for row in lines[number:])
            data = data.replace("'", '"')
            return separated_text.make_table(path, data, ",", required, names, number + 1)
        head = _HEAD.fullmatch(line.strip())
        if not head:
            raise errors.InputError(
                f"{path}, line {number}: found {line.strip()[:80]!r}, expected @relation, "
                "@attribute NAME TYPE and then @data"
            )
        if head[1]:
            names.append(head[1].strip("'\""))
    raise errors.InputError(
        f"{path}: no attributes and @data after them; expected an ARFF file, whole"
    )
