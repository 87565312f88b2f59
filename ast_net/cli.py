"""Flags made from the fields of `config`, and back: parse(serialise(x)) == x."""

import dataclasses
import pathlib
import textwrap
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from absl import flags

from ast_net import config, errors

_Settings = TypeVar("_Settings", bound=config.Settings)


@dataclasses.dataclass(frozen=True)
class Verb:
    """What a verb does, its groups of settings, and two examples for its --help."""

    summary: str
    groups: tuple[type[config.Settings], ...]
    examples: tuple[str, str]


VERBS = {
    "prepare": Verb(
        "Turns videos and ratings into records.",
        (config.Preparation, config.BeamOptions),
        ("--dataset=recola --manual_dir=RECOLA", "--dataset=recordings --manual_dir=FOLDER"),
    ),
    "describe": Verb(
        "Shows what is in a data set: frames, faces, ratings, and how well raters agree.",
        (config.Preparation, config.Description),
        ("--dataset=demo", "--dataset=recordings --manual_dir=FOLDER --faces=0"),
    ),
    "train": Verb(
        "Prepares a data set if need be, trains the temporal model, and evaluates it.",
        (config.Experiment,),
        ("--dataset=demo", "--workdir=runs/demo --epochs=200   # goes on with a run"),
    ),
    "evaluate": Verb(
        "Evaluates a trained model: tables, predictions and figures.",
        (config.Evaluation, config.DataSource, config.ReactionDelay),
        (
            "--workdir=runs/recola --split=test",
            "--workdir=runs/recola --dataset=recordings --manual_dir=FOLDER",
        ),
    ),
    "reproduce": Verb(
        "Trains each row of the paper's Table 1 with several seeds, and reports beside the paper.",
        (config.Reproduction,),
        (
            "--dataset=demo --seeds=3",
            "--dataset=recola --manual_dir=RECOLA --folds=9",
        ),
    ),
    "predict": Verb(
        "Predicts valence and arousal of every face in every frame.",
        (config.Inputs, config.Outputs, config.Prediction, config.Networks),
        ("--video=talk.mp4", "--camera=0 --outputs=csv,window"),
    ),
    "export": Verb(
        "Exports a model for TensorFlow Serving and other runtimes.",
        (config.Export,),
        ("--export_dir=models/ast_net/1", "--workdir=runs/recola --format=onnx"),
    ),
    "finetune": Verb(
        "Trains the CNN on discrete expressions.",
        (config.Finetuning,),
        (
            "--dataset=fer2013 --manual_dir=FOLDER",
            "--workdir=runs/fer2013-compact   # goes on with a run",
        ),
    ),
}


class HelpRequest(Exception):
    """Somebody asks for help; the message is the help."""


class Arguments:
    """A verb's command line, parsed."""

    def __init__(self, verb: str, values: dict[str, Any]) -> None:
        self.verb, self._given = verb, values

    def has(self, flag: str) -> bool:
        """Whether a flag was given, on the command line or in a flagfile."""
        return flag in self._given

    def read(self, group: type[_Settings]) -> _Settings:
        """Returns a group of settings, the defaults where no flag was given.

        Raises:
          InputError: the values do not go together.
        """
        return self.change(group())

    def change(self, settings: _Settings) -> _Settings:
        """Returns the settings with what was given in place of what they had.

        Raises:
          InputError: the values do not go together.
        """
        return config.changed(settings, self._given)


def parse(verb: str, arguments: Sequence[str]) -> Arguments:
    """Parses the command line of a verb.

    In a flagfile, flags that only other verbs have are passed over, so that one file serves several
    verbs; on the command line they are refused.

    Args:
      verb: a key of VERBS.
      arguments: those after the program's name.

    Raises:
      HelpRequest: --help is among them.
      InputError: a flag is unknown, a value is wrong, or there is more than flags.
    """
    if {"--help", "-help", "-h", "--helpfull", "--helpshort"} & set(arguments):
        raise HelpRequest(_help(verb))
    defined = _define(VERBS[verb].groups)
    rest = _parse(defined, [*_expanded(defined, verb, arguments)])
    if rest:
        raise errors.InputError(
            f"unexpected arguments: {' '.join(rest)}; the values of a list are separated by commas, "
            "and every flag begins with --"
        )
    return Arguments(verb, _given(defined))


def serialise(settings: config.Settings) -> str:
    """The settings as a flagfile, a flag a line; those without a value are left out."""
    return "".join(f"{line}\n" for line in sorted(_lines(settings)))


def deserialise(group: type[_Settings], text: str, source: str | pathlib.Path) -> _Settings:
    """Reads what `serialise` wrote, strictly: the flags of the group, once each, and nothing else.

    Raises:
      InputError: `source` and the line that is wrong.
    """
    defined = _define([group], derived=True)
    for number, line in enumerate(text.splitlines(), start=1):
        name = _name(defined, line)
        if name is None or defined[name].present:
            raise errors.InputError(
                f"{source}, line {number}: found {line[:80]!r}, expected the settings of a run, each "
                "once: restore the file, or give another `workdir`"
            )
        try:
            _parse(defined, [line])
        except errors.InputError as error:
            raise errors.InputError(f"{source}, line {number}: {error}") from error
    try:
        return config.changed(group(), _given(defined))
    except errors.InputError as error:
        raise errors.InputError(f"{source}: {error}") from error


class _Leaf(NamedTuple):
    """A setting: its field, its type, and the group that defines it."""

    field: dataclasses.Field
    hint: Any
    group: type[config.Settings]

    @property
    def name(self) -> str:
        return config.flag_name(self.field)


def settings_of(group: type[config.Settings]) -> Iterator[_Leaf]:
    """Yields the settings of a group and of the groups in it."""
    hints = typing.get_type_hints(group)
    for field in dataclasses.fields(group):  # type: ignore[arg-type]
        if "help" not in field.metadata:
            yield from settings_of(hints[field.name])
            continue
        owner = next(
            c for c in group.__mro__ if field.name in c.__dict__.get("__annotations__", {})
        )
        yield _Leaf(field, _without_none(hints[field.name]), owner)


def _without_none(hint: Any) -> Any:
    """The first type of a union, which is never None here."""
    return typing.get_args(hint)[0] if isinstance(hint, types.UnionType) else hint


def _define(groups: Sequence[type[config.Settings]], derived: bool = False) -> flags.FlagValues:
    """The flags of some groups, none of them given."""
    defined = flags.FlagValues()
    defined.set_gnu_getopt()
    for leaf in (leaf for group in groups for leaf in settings_of(group)):
        if leaf.field.metadata["derived"] and not derived:
            continue
        if leaf.hint is bool:
            flags.DEFINE_boolean(leaf.name, None, "", defined)
        elif leaf.field.metadata["repeated"]:
            serializer: flags.ArgumentSerializer = flags.ArgumentSerializer()
            flags.DEFINE_multi(_Parser(leaf), serializer, leaf.name, None, "", defined)
        else:
            flags.DEFINE(_Parser(leaf), leaf.name, None, "", defined)
    return defined


class _Parser(flags.ArgumentParser):
    """Turns the text of a flag into its setting's value."""

    def __init__(self, leaf: _Leaf) -> None:
        super().__init__()
        self._leaf = leaf

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            return argument
        words, hint = self._leaf.field.metadata["words"], self._leaf.hint
        if argument in words:
            return _Word(words[argument])
        if self._leaf.field.metadata["repeated"]:
            return argument
        try:
            if typing.get_origin(hint) is not tuple:
                return hint(argument)
            element = typing.get_args(hint)[0]
            return tuple(element(part.strip()) for part in argument.split(",") if part.strip())
        except ValueError:
            kind = "seconds" if self._leaf.field.metadata["unit"] == "seconds" else "numbers"
            expected = "a whole number" if hint is int else "a number" if hint is float else kind
            others = "".join(f" or {word}" for word in words)
            raise ValueError(f"found {argument!r}, expected {expected}{others}") from None


class _Word(NamedTuple):
    """What a word stands for; absl takes a parsed None for a flag that was not given."""

    value: Any


def _parse(defined: flags.FlagValues, arguments: Sequence[str]) -> list[str]:
    """Gives the flags their values, and returns what belongs to none."""
    try:
        return defined(["", *arguments])[1:]
    except flags.Error as error:
        raise errors.InputError(str(error)) from error


def _given(defined: flags.FlagValues) -> dict[str, Any]:
    """The values of the flags that were given, by name."""
    values = {name: defined[name].value for name in defined if defined[name].present}
    return {
        name: value.value
        if isinstance(value, _Word)
        else tuple(value)
        if isinstance(value, list)
        else value
        for name, value in values.items()
    }


def _lines(settings: config.Settings) -> Iterator[str]:
    """The settings as flags, in any order."""
    for group in config.groups(settings):
        yield from _lines(getattr(settings, group.name))
    for field in config.leaves(settings):
        name, value = config.flag_name(field), getattr(settings, field.name)
        words = [word for word, meaning in field.metadata["words"].items() if meaning == value]
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--no{name}"
        elif words:
            yield f"--{name}={words[0]}"
        elif field.metadata["repeated"]:
            yield from (f"--{name}={element}" for element in value)
        elif value is not None and value != ():
            shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
            yield f"--{name}={shown}"


def _expanded(defined: flags.FlagValues, verb: str, arguments: Sequence[str]) -> Iterator[str]:
    """The arguments with the lines of flagfiles in their places, but for flags of other verbs."""
    others = {other: _define(VERBS[other].groups, derived=True) for other in VERBS}
    rest = iter(arguments)
    for argument in rest:
        name, _, file = argument.partition("=")
        if name not in ("--flagfile", "-flagfile"):
            _refuse_unused(defined, verb, others, argument)
            yield argument
            continue
        try:
            lines = defined.read_flags_from_files([f"--flagfile={file or next(rest, '')}"])
        except flags.Error as error:
            raise errors.InputError(str(error)) from error
        for line in lines:
            if _name(defined, line) or not any(_name(other, line) for other in others.values()):
                yield line


def _refuse_unused(
    defined: flags.FlagValues, verb: str, others: dict[str, flags.FlagValues], argument: str
) -> None:
    users = [other for other in others if _name(others[other], argument)]
    if users and not _name(defined, argument):
        name = argument.partition("=")[0]
        raise errors.InputError(
            f"{name} is not used by {verb}, but by {', '.join(users)}: leave it out"
        )


def _name(defined: flags.FlagValues, argument: str) -> str | None:
    """The flag that an argument gives, if it is one of those defined."""
    name = argument.lstrip("-").partition("=")[0] if argument.startswith("-") else ""
    if name in defined:
        return name
    negated = name.removeprefix("no")
    return negated if negated in defined and defined[negated].boolean else None


def _help(verb: str) -> str:
    """The help of a verb: what it does, two examples, and its flags in groups."""
    command = f"python -m ast_net.{verb}"
    parts = [f"{command} [--FLAG=VALUE ...]", VERBS[verb].summary, "Examples:"]
    parts[-1] += "".join(f"\n  {command} {example}" for example in VERBS[verb].examples)
    by_title: dict[str, list[_Leaf]] = {}
    for leaf in (leaf for group in VERBS[verb].groups for leaf in settings_of(group)):
        if not leaf.field.metadata["derived"]:
            title = (leaf.group.__doc__ or "").partition("\n")[0].rstrip(".")
            by_title.setdefault(title, []).append(leaf)
    for title, leaves in by_title.items():
        parts.append("\n".join([f"{title}:", *map(_help_of, leaves)]))
    parts.append("Others:\n  --flagfile=FILE\n      Reads flags from a file, one a line.")
    return "\n\n".join(parts)


def _help_of(leaf: _Leaf) -> str:
    """A flag's part of the help."""
    metadata, default = leaf.field.metadata, leaf.field.default
    kinds = {int: "N", float: "X", tuple[int, ...]: "N", tuple[float, ...]: "X"}
    choices = metadata["choices"] or (kinds.get(leaf.hint, "VALUE"), *metadata["words"])
    value = "|".join(choices)
    if typing.get_origin(leaf.hint) is tuple and not metadata["repeated"]:
        value += ",..."
    flag = f"--[no]{leaf.name}" if leaf.hint is bool else f"--{leaf.name}={value}"
    shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
    defaults = (
        f" Default: {shown} {metadata['unit']}".rstrip() + "." if shown not in (None, "") else ""
    )
    text = metadata["help"].replace("`", "")
    if metadata["choices"] is config.DATASETS:
        text += " " + "; ".join(f"{name}: {what}" for name, what in config.DATASETS.items()) + "."
    body = textwrap.fill(text + defaults, 94, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return f"  {flag}\n{body}"
