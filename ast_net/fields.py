"""Says what a setting is: a field of a frozen dataclass, with its help, bounds and unit.

`config` has all settings. `cli` makes a flag from each of them; the flag has the name of the field
unless the field says otherwise. Error messages name a setting by its flag, in backquotes.
"""

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

from ast_net import errors


class Bounds(NamedTuple):
    """A range of numbers; `open` names the ends that are excluded: "", "(", ")" or "()"."""

    low: float
    high: float = math.inf
    open: str = ""

    def __contains__(self, value: object) -> bool:
        """Whether the value is a number in the range; NaN and infinity are not."""
        if not isinstance(value, int | float) or value in (math.inf, -math.inf):
            return False
        above = self.low < value if "(" in self.open else self.low <= value
        return above and (value < self.high if ")" in self.open else value <= self.high)

    def __str__(self) -> str:
        low = f"more than {self.low:g}" if "(" in self.open else f"at least {self.low:g}"
        if self.high == math.inf:
            return low
        return f"{low} and {'less than' if ')' in self.open else 'at most'} {self.high:.10g}"


def setting(
    default: Any,
    help: str,
    bounds: Bounds | None = None,
    unit: str = "",
    flag: str | None = None,
    choices: Any = None,
    words: Mapping[str, Any] = types.MappingProxyType({}),
    identity: bool = True,
    repeated: bool = False,
    derived: bool = False,
) -> Any:
    """Returns a dataclass field for a setting, with its description as the field's metadata.

    Args:
      default: the default value.
      help: the help text. `--help` adds the default and its unit.
      bounds: the allowed range of a number, or of each number in a tuple.
      unit: the unit of a number, such as "seconds".
      flag: the flag's name on the command line, if it differs from the field's name.
      choices: the allowed values; for a tuple, the allowed elements.
      words: words that stand for special values, such as {"all": None}.
      identity: whether a different value makes it a different run (`workdir.differences`).
      repeated: whether the flag is repeated for each element of a tuple, instead of separating the
        elements by commas. For file names, which may contain commas.
      derived: whether the program computes the value. Such a setting is stored in run.flags, but it
        is not a flag on the command line.
    """
    metadata = {"help": help, "bounds": bounds, "unit": unit, "flag": flag, "choices": choices}
    metadata |= {"words": words, "identity": identity, "repeated": repeated, "derived": derived}
    return dataclasses.field(default=default, metadata=metadata)


@typing.dataclass_transform(frozen_default=True, kw_only_default=True)
class Settings:
    """A group of settings: a frozen dataclass whose fields are `setting`s or other groups.

    Creating an object checks its values. The first line of a group's docstring is the heading of
    its flags in `--help`.

    Raises:
      InputError: a value is out of bounds or not one of the choices, or values contradict each
        other.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field]]

    def __init_subclass__(cls, kw_only: bool = True) -> None:
        dataclasses.dataclass(frozen=True, kw_only=kw_only)(cls)

    def __post_init__(self) -> None:
        for leaf in settings_of(self):
            _check_value(leaf)
        self.check()

    def check(self) -> None:
        """Checks conditions that involve several settings."""


_Settings = TypeVar("_Settings", bound=Settings)


class Leaf(NamedTuple):
    """A single setting: its field, its value, and the group that defines the field."""

    field: dataclasses.Field
    value: Any
    group: type[Settings]

    @property
    def name(self) -> str:
        """The flag's name on the command line."""
        return flag_name(self.field)

    @property
    def hint(self) -> Any:
        """The setting's type; for a union, its first member (None never comes first)."""
        hint: Any = self.field.type
        return typing.get_args(hint)[0] if isinstance(hint, types.UnionType) else hint


def settings_of(group: Settings) -> Iterator[Leaf]:
    """Yields the settings of a group, including those of nested groups."""
    for field in dataclasses.fields(group):
        value = getattr(group, field.name)
        if isinstance(value, Settings):
            yield from settings_of(value)
        else:
            owner = next(c for c in type(group).__mro__ if field.name in inspect.get_annotations(c))
            yield Leaf(field, value, owner)


def flag_name(field: dataclasses.Field) -> str:
    """Returns a setting's name on the command line."""
    return field.metadata["flag"] or field.name


def values(settings: Settings) -> dict[str, Any]:
    """Returns the values of all settings by flag name."""
    return {leaf.name: leaf.value for leaf in settings_of(settings)}


def changed(settings: _Settings, values: Mapping[str, Any]) -> _Settings:
    """Returns a copy of the settings with some values replaced.

    Args:
      settings: the settings to copy.
      values: new values, or the words that stand for them, by flag name. Names that the settings do
        not have are ignored.

    Raises:
      InputError: a value is not allowed, or values contradict each other.
    """
    changes = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Settings):
            changes[field.name] = changed(value, values)
        elif flag_name(field) in values:
            given = values[flag_name(field)]
            words = field.metadata["words"] if isinstance(given, str) else {}
            changes[field.name] = words.get(given, given)
    return dataclasses.replace(settings, **changes)


def text_of(value: Any) -> str:
    """Returns a value as text, as it is written on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _check_value(leaf: Leaf) -> None:
    value, metadata = leaf.value, leaf.field.metadata
    if value is None or (isinstance(value, str) and value in metadata["words"]):
        return
    bounds, choices = metadata["bounds"], metadata["choices"]
    values = value if isinstance(value, tuple) else (value,)
    for element in values:
        if bounds is not None and element not in bounds:
            expected = f"{bounds} {metadata['unit']}".strip()
        elif choices is not None and element not in choices:
            expected = f"{'some' if values is value else 'one'} of {', '.join(choices)}"
        elif isinstance(element, str) and len(element.splitlines()) > 1:
            expected = "a single line"
        else:
            continue
        raise errors.InputError(f"`{leaf.name}` must be {expected}, found {text_of(value)}")


def require(condition: bool, message: str) -> None:
    """Raises an InputError with the message unless the condition holds."""
    if not condition:
        raise errors.InputError(message)
