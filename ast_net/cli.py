"""Makes flags from the fields of `config`, and reads them back: parse(serialise(x)) == x."""

import dataclasses
import difflib
import itertools
import numbers
import os
import pathlib
import re
import textwrap
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from absl import flags

from ast_net import config, errors, fields, flagfiles

_Settings = TypeVar("_Settings", bound=fields.Settings)
# How messages call the types of settings.
_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}


@dataclasses.dataclass(frozen=True)
class Verb:
    """A command: its summary, its groups of settings, and two examples for its --help.

    Attributes:
      words: the flag that words without a flag stand for, if they may be given.
      resumes: whether the command continues an earlier call that was interrupted.
    """

    summary: str
    groups: tuple[type[fields.Settings], ...]
    examples: tuple[str, str]
    words: str = ""
    resumes: bool = False


VERBS = {
    "prepare": Verb(
        "Turns videos and ratings into records.",
        (config.Preparation, config.BeamOptions, config.Devices),
        ("--dataset=recola --manual_dir=RECOLA", "--dataset=recordings --manual_dir=FOLDER"),
        resumes=True,
    ),
    "describe": Verb(
        "Shows what is in a data set: frames, faces, ratings, and how well raters agree.",
        (config.Preparation, config.Description, config.Devices),
        ("--dataset=demo", "--dataset=recordings --manual_dir=FOLDER --faces=0"),
        resumes=True,
    ),
    "train": Verb(
        "Prepares a data set if necessary, trains the temporal model, and evaluates it.",
        (config.Experiment, config.Devices),
        (
            "--dataset=recordings --manual_dir=FOLDER",
            "--workdir=runs/recordings --epochs=200   # continues a run",
        ),
        resumes=True,
    ),
    "evaluate": Verb(
        "Evaluates a trained model: tables, predictions and figures.",
        (config.Evaluation, config.DataSource, config.ReactionDelay, config.Devices),
        (
            "--workdir=runs/recola --split=test",
            "--dataset=recordings --manual_dir=FOLDER --split=test",
        ),
    ),
    "reproduce": Verb(
        "Trains the losses of Table 1 with several seeds; reports the paper's tables and figures.",
        (config.Reproduction, config.BeamOptions, config.Devices),
        (
            "--dataset=demo --seeds=3",
            "--dataset=recola --manual_dir=RECOLA --folds=9",
        ),
        resumes=True,
    ),
    "predict": Verb(
        "Predicts valence and arousal of the faces in videos, frame by frame.",
        (
            config.Inputs,
            config.Outputs,
            config.Prediction,
            config.Networks,
            config.BeamOptions,
            config.Devices,
        ),
        ("talk.mp4", "--camera=0 --outputs=csv,window"),
        words="video",
        resumes=True,
    ),
    "app": Verb(
        "Opens a page in the browser that predicts a webcam or a video.",
        (config.PageServer, config.PagePrediction, config.Networks, config.Devices),
        ("--port=8000", "--workdir=runs/demo --max_faces=1"),
    ),
    "export": Verb(
        "Exports a model for TensorFlow Serving and other runtimes.",
        (config.Export,),
        ("--export_dir=models/ast_net/1", "--format=onnx --export_dir=models/onnx"),
    ),
    "finetune": Verb(
        "Trains the CNN on discrete expressions.",
        (config.Finetuning, config.Devices),
        (
            "--dataset=ferplus --manual_dir=FOLDER",
            "--workdir=runs/ferplus-compact   # continues a run",
        ),
        resumes=True,
    ),
}


class HelpRequest(Exception):
    """The user asked for help; the message is the help text."""


class Arguments:
    """The settings that were given, on a command line or in Python; the others have defaults."""

    def __init__(self, values: dict[str, Any]) -> None:
        """Takes the values by flag name."""
        self._given = values

    def has(self, flag: str) -> bool:
        """Whether a flag was given, on the command line or in a flagfile."""
        return flag in self._given

    def read(self, group: type[_Settings]) -> _Settings:
        """Returns a group of settings, with defaults where no flag was given.

        Raises:
          InputError: values contradict each other.
        """
        return self.change(group())

    def change(self, settings: _Settings) -> _Settings:
        """Returns the settings, with the values of the given flags in place of theirs.

        Raises:
          InputError: values contradict each other.
        """
        return fields.changed(settings, self._given)


def parse(verb: str, arguments: Sequence[str]) -> Arguments:
    """Parses the command line of a command.

    On the command line, flags of other commands are refused. In a flagfile they are ignored, so
    that one file serves several commands.

    Args:
      verb: the command's name, a key of VERBS.
      arguments: the words after the program's name.

    Raises:
      HelpRequest: --help is among them.
      InputError: a flag is unknown, a value is wrong, or a word is neither a flag nor one of
        `Verb.words`.
    """
    if {"--help", "-help", "-h", "--helpfull", "--helpshort"} & set(arguments):
        raise HelpRequest(_help(verb))
    defined = _define(_groups(verb))
    rest = _parse(defined, _expanded(defined, verb, arguments))
    values, words = _given(defined), VERBS[verb].words
    if rest and words:
        values[words] = (*values.get(words, ()), *rest)
    elif rest:
        raise errors.InputError(
            f"unexpected arguments: {' '.join(rest)}; begin every flag with --, and separate the "
            "values of a list by commas"
        )
    return Arguments(values)


def from_keywords(
    groups: Sequence[type[fields.Settings]], keywords: Mapping[str, Any]
) -> Arguments:
    """Takes settings that are given in Python, by the names of their flags.

    A list stands for a tuple, a single value for a tuple with one element, and a path for its text.

    Args:
      groups: the groups of settings that are read from the result.
      keywords: values by flag name.

    Raises:
      InputError: a name is not a flag of these groups, or a value has another type.
    """
    leaves = {leaf.name: leaf for leaf in _leaves(groups) if not leaf.field.metadata["derived"]}
    values = {}
    for name, value in keywords.items():
        if name not in leaves:
            longer = [leaf for leaf in leaves if name in leaf]
            others = difflib.get_close_matches(name, longer, 1, cutoff=0)
            others = others or difflib.get_close_matches(name, leaves, 1) or sorted(leaves)
            raise errors.InputError(
                f"`{name}` is not a setting; did you mean {' or '.join(f'`{o}`' for o in others)}?"
            )
        values[name] = _of_type(leaves[name], value)
    return Arguments(values)


def _is_switch(leaf: fields.Leaf) -> bool:
    """Whether a flag may be written without a value: --NAME for true, --noNAME for false."""
    return leaf.hint is bool or set(config.SWITCH) <= set(leaf.field.metadata["choices"] or ())


def _of_type(leaf: fields.Leaf, value: Any) -> Any:
    """Returns a value in the type of its setting."""
    if isinstance(value, bool) and leaf.hint is str and _is_switch(leaf):
        return str(value).lower()
    if value is None or (isinstance(value, str) and value in leaf.field.metadata["words"]):
        return value
    if typing.get_origin(leaf.hint) is tuple:
        element = typing.get_args(leaf.hint)[0]
        values = value if isinstance(value, list | tuple) else [value]
        return tuple(_element(leaf.name, element, part) for part in values)
    return _element(leaf.name, leaf.hint, value)


def _element(name: str, kind: type, value: Any) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    # NumPy's numbers are welcome; True is a number in Python, but not here.
    accepted = {int: numbers.Integral, float: numbers.Real}.get(kind, kind)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise errors.InputError(f"`{name}`: found {value!r}, expected {_KINDS[kind]}")
    return kind(value)


def serialise(settings: fields.Settings) -> str:
    """Returns the settings as a flagfile, one flag a line, without those that have no value."""
    return "".join(f"{line}\n" for line in sorted(_lines(settings)))


def deserialise(group: type[_Settings], text: str, source: str | pathlib.Path) -> _Settings:
    """Reads what `serialise` wrote. Only the flags of the group are allowed, each once.

    Raises:
      InputError: a line is wrong; the message names `source` and the line.
    """
    defined = _define([group], derived=True)
    for number, line in enumerate(text.splitlines(), start=1):
        name = _name(defined, line)
        if name is None or defined[name].present:
            raise errors.InputError(
                f"{source}, line {number}: found {line[:80]!r}, expected the settings of a run, "
                "each once: restore the file, or give another `workdir`"
            )
        try:
            _parse(defined, [line])
        except errors.InputError as error:
            raise errors.InputError(f"{source}, line {number}: {error}") from error
    try:
        return fields.changed(group(), _given(defined))
    except errors.InputError as error:
        raise errors.InputError(f"{source}: {error}") from error


def _groups(verb: str) -> tuple[type[fields.Settings], ...]:
    """Returns the groups of a command's settings, including the one that all commands share."""
    return *VERBS[verb].groups, config.Messages


def _leaves(groups: Sequence[type[fields.Settings]]) -> Iterator[fields.Leaf]:
    return itertools.chain.from_iterable(fields.settings_of(group()) for group in groups)


def _define(groups: Sequence[type[fields.Settings]], derived: bool = False) -> flags.FlagValues:
    """Defines the flags of some groups."""
    defined = flags.FlagValues()
    defined.set_gnu_getopt()
    for leaf in _leaves(groups):
        if leaf.field.metadata["derived"] and not derived:
            continue
        if leaf.hint is bool:
            flags.DEFINE_boolean(leaf.name, None, "", defined)
        elif _is_switch(leaf):
            flag = flags.Flag(_Parser(leaf), None, leaf.name, None, "", boolean=True)
            flags.DEFINE_flag(flag, defined)
        elif leaf.field.metadata["repeated"]:
            flags.DEFINE_multi_string(leaf.name, None, "", defined)
        else:
            flags.DEFINE(_Parser(leaf), leaf.name, None, "", defined)
    return defined


class _Parser(flags.ArgumentParser):
    """Converts the text of a flag to the value of its setting."""

    def __init__(self, leaf: fields.Leaf) -> None:
        super().__init__()
        self._leaf = leaf

    def parse(self, argument: Any) -> Any:
        if not isinstance(argument, str):
            return argument
        metadata, hint = self._leaf.field.metadata, self._leaf.hint
        if argument in metadata["words"]:
            return argument
        try:
            if typing.get_origin(hint) is not tuple:
                return hint(argument)
            element = typing.get_args(hint)[0]
            return tuple(element(part.strip()) for part in argument.split(",") if part.strip())
        except ValueError:
            several = "seconds" if metadata["unit"] == "seconds" else "numbers"
            expected = _KINDS.get(hint, several)
            others = "".join(f" or {word}" for word in metadata["words"])
            raise ValueError(f"found {argument!r}, expected {expected}{others}") from None


def _parse(defined: flags.FlagValues, arguments: Iterable[str]) -> list[str]:
    """Gives the flags their values; returns the words that are not flags."""
    try:
        return defined(["", *arguments])[1:]
    except flags.UnrecognizedFlagError as error:
        name, others = error.flagname, difflib.get_close_matches(error.flagname, defined, 1)
        remedy = f"did you mean --{others[0]}?" if others else "--help lists the flags"
        raise errors.InputError(f"unknown flag --{name}; {remedy}") from error
    except flags.Error as error:
        raise errors.InputError(str(error).removeprefix("ERROR:: ")) from error


def _given(defined: flags.FlagValues) -> dict[str, Any]:
    """Returns the values of the flags that were given, by name."""
    values = {name: defined[name].value for name in defined if defined[name].present}
    return {n: tuple(value) if isinstance(value, list) else value for n, value in values.items()}


def _lines(settings: fields.Settings) -> Iterator[str]:
    """Yields the settings as flags, in no particular order."""
    for leaf in fields.settings_of(settings):
        name, value, metadata = leaf.name, leaf.value, leaf.field.metadata
        words = [word for word, meaning in metadata["words"].items() if meaning == value]
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--no{name}"
        elif words:
            yield f"--{name}={words[0]}"
        elif metadata["repeated"]:
            yield from (f"--{name}={element}" for element in value)
        elif value is not None and value != ():
            yield f"--{name}={fields.text_of(value)}"


def _expanded(defined: flags.FlagValues, verb: str, arguments: Sequence[str]) -> Iterator[str]:
    """Replaces flagfiles by their lines, and refuses (in flagfiles: ignores) foreign flags."""
    known = {other: _define(_groups(other), derived=True) for other in VERBS}
    rest = iter(arguments)
    for argument in rest:
        name, _, file = argument.partition("=")
        if name in ("--flagfile", "-flagfile"):
            for line in flagfiles.lines(file or next(rest, "")):
                if _name(defined, line) or not any(_name(other, line) for other in known.values()):
                    yield line
            continue
        users = [other for other in known if _name(known[other], argument)]
        if users and not _name(defined, argument):
            raise errors.InputError(
                f"{name} is a flag of {', '.join(users)}, not of {verb}: leave it out"
            )
        yield argument


def _name(defined: flags.FlagValues, argument: str) -> str | None:
    """Returns the name of the flag that an argument sets, if it is a defined one."""
    name = argument.lstrip("-").partition("=")[0] if argument.startswith("-") else ""
    if name in defined:
        return name
    negated = name.removeprefix("no")
    return negated if negated in defined and defined[negated].boolean else None


def _help(verb: str) -> str:
    """Returns the help of a command: its summary, two examples, and its flags in groups."""
    command = f"python -m ast_net.{verb}"
    words = f" [{VERBS[verb].words.upper()} ...]" if VERBS[verb].words else ""
    parts = [f"{command}{words} [--FLAG=VALUE ...]", VERBS[verb].summary, "Examples:"]
    parts[-1] += "".join(f"\n  {command} {example}" for example in VERBS[verb].examples)
    by_title: dict[str, list[fields.Leaf]] = {}
    for leaf in _leaves(_groups(verb)):
        if not leaf.field.metadata["derived"]:
            title = (leaf.group.__doc__ or "").partition("\n")[0].rstrip(".")
            by_title.setdefault(title, []).append(leaf)
    for title, leaves in by_title.items():
        parts.append("\n".join([f"{title}:", *map(_help_of, leaves)]))
    text = "Reads flags from a file, one on each line. A name such as demo is one of flags/."
    parts.append(f"Other:\n  --flagfile=FILE\n      {text}")
    return "\n\n".join(parts)


def _help_of(leaf: fields.Leaf) -> str:
    """Returns the help of one flag."""
    metadata = leaf.field.metadata
    kinds = {int: "N", float: "X", tuple[int, ...]: "N", tuple[float, ...]: "X"}
    choices = metadata["choices"] or (kinds.get(leaf.hint, "VALUE"), *metadata["words"])
    value = "|".join(choices)
    if typing.get_origin(leaf.hint) is tuple and not metadata["repeated"]:
        value += ",..."
    flag = f"--[no]{leaf.name}" if leaf.hint is bool else f"--{leaf.name}={value}"
    text = re.sub(r"`(\w+)(=[^`]*)?`", r"--\1\2", metadata["help"])
    if leaf.value is not None and leaf.value is not False and leaf.value != ():
        text += f" Default: {fields.text_of(leaf.value)} {metadata['unit']}".rstrip() + "."
    if metadata["choices"] is config.DATASETS:
        text += " " + "; ".join(f"{name}: {what}" for name, what in config.DATASETS.items()) + "."
    body = textwrap.fill(text, 94, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return f"  {flag}\n{body}"
