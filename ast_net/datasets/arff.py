"""Weka's ARFF as the AVEC challenges 2015 to 2018 hand out their gold standard.

SciPy's reader takes no string attributes, and these files name the recording in each row.
"""

import pathlib
import re

from ast_net import errors
from ast_net.datasets import separated_text

_ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+(\S.*)", re.IGNORECASE)


def read(path: str | pathlib.Path) -> separated_text.Table:
    """Reads the rows and the names of the attributes.

    Raises:
      InputError: the file is missing or no ARFF, or a row has too many or too few cells.
    """
    path = pathlib.Path(path)
    text = separated_text.read_text(path)
    lines = separated_text.split_lines(text)
    names: list[str] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        keyword = words[0].lower() if words else ""
        if keyword == "@attribute":
            match = _ATTRIBUTE.fullmatch(line.strip())
            if not match:
                raise errors.InputError(
                    f"{path}, line {number}: found {line.strip()[:80]!r}, expected @attribute NAME TYPE"
                )
            names.append(match[1].strip("'\""))
        elif keyword == "@data":
            return _table(path, names, lines[number:], number + 1)
        elif keyword not in ("", "@relation") and not keyword.startswith("%"):
            raise errors.InputError(
                f"{path}, line {number}: found {line.strip()[:80]!r}, expected @relation, @attribute or @data"
            )
    raise errors.InputError(f"{path}: no line @data; expected an ARFF file, whole")


def _table(
    path: pathlib.Path, names: list[str], lines: list[str], first: int
) -> separated_text.Table:
    # Lines that are comments stay, as blank ones, so that those that follow keep their numbers.
    data = "\n".join("" if line.lstrip().startswith("%") else line for line in lines)
    rows = separated_text.parse(path, data.replace("'", '"'), ",", first)
    if not rows:
        raise errors.InputError(f"{path}: no rows after @data; the copy may be incomplete")
    for line, cells in rows:
        if len(cells) != len(names):
            raise errors.InputError(
                f"{path}, line {line}: {len(cells)} cells; expected {len(names)}: {', '.join(names)}"
            )
    return separated_text.Table(path, tuple(names), rows)
