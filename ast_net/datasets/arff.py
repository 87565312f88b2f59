"""Reads Weka's ARFF format, in which the AVEC challenges 2015 to 2018 release their gold standard.

SciPy's reader does not support string attributes, and these files have the recording's name in each
row.
"""

import pathlib
import re
from collections.abc import Sequence

from ast_net import errors
from ast_net.datasets import separated_text

# A line before @data: blank, a comment, the relation, or an attribute (its name is the group).
_HEADER_LINE = re.compile(
    r"(?:%.*|@relation\b.*|@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+\S.*)?", re.IGNORECASE
)


def read(path: pathlib.Path, required: Sequence[str]) -> separated_text.Table:
    """Reads an ARFF file as a table with a column for each attribute.

    Args:
      path: the file.
      required: attributes that the file must have, once each, in lower case.

    Raises:
      InputError: the file is missing or not ARFF, has no rows or lacks a required attribute, or a
        row has too many or too few cells.
    """
    lines = separated_text.split_lines(separated_text.read_text(path))
    names: list[str] = []
    for number, line in enumerate(lines, 1):
        if names and line.lower().split()[:1] == ["@data"]:
            # Comments become blank lines, so that errors give the right line numbers.
            data = "\n".join("" if row.lstrip().startswith("%") else row for row in lines[number:])
            data = data.replace("'", '"')
            return separated_text.make_table(path, data, ",", required, names, number + 1)
        header_line = _HEADER_LINE.fullmatch(line.strip())
        if not header_line:
            raise errors.InputError(
                f"{path}, line {number}: found {line.strip()[:80]!r}, expected @relation, "
                "@attribute NAME TYPE and then @data"
            )
        if header_line[1]:
            names.append(header_line[1].strip("'\""))
    raise errors.InputError(
        f"{path}: no attributes followed by @data; expected a complete ARFF file: copy it again"
    )
