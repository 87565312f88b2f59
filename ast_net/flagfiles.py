"""Reads flagfiles: the user's own, and those that come with the package, in flags/."""

import pathlib

from ast_net import errors, files

# setup.py puts a copy into the package that pip installs; in a checkout flags/ is beside it.
_PLACES = (pathlib.Path(__file__).with_name("flags"), pathlib.Path(__file__).parents[1] / "flags")
_SUFFIX = ".flags"


def lines(name: str) -> list[str]:
    """Returns the flags in a flagfile, and in those that it names, in their order.

    Empty lines, and lines that begin with # or //, are left out.

    Args:
      name: a file, or the name of one that comes with the package, such as "recola".

    Raises:
      InputError: there is no such file, it cannot be read, or it leads back to itself.
    """
    return _lines(name, ())


def _lines(name: str, above: tuple[pathlib.Path, ...]) -> list[str]:
    path = _find(name)
    if path in above:
        raise errors.InputError(
            f"{path}: this flagfile leads back to itself: remove `flagfile={name}` from {above[-1]}"
        )
    with files.reading(path, "flags"):
        text = path.read_text(encoding="utf-8")
    result = []
    for line in map(str.strip, text.splitlines()):
        flag, _, value = line.partition("=")
        if flag in ("--flagfile", "-flagfile"):
            result += _lines(value.strip(), (*above, path))
        elif line and not line.startswith(("#", "//")):
            result.append(line)
    return result


def _find(name: str) -> pathlib.Path:
    path = pathlib.Path(name).expanduser()
    if path.is_file():
        return path
    folder = next(place for place in _PLACES if place.is_dir())
    shipped = {file.stem: file for file in sorted(folder.glob(f"*{_SUFFIX}"))}
    if name.removesuffix(_SUFFIX) in shipped:
        return shipped[name.removesuffix(_SUFFIX)]
    raise errors.InputError(
        f"{name}: no such flagfile; expected a file, or one that comes with the package: "
        f"{', '.join(shipped)}"
    )
