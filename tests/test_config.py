"""Settings: bounds, help texts, flags, and the conversion from settings to flags and back."""

import dataclasses
import math
import pathlib
import subprocess
import sys

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from ast_net import cli, config, errors, fields

GROUPS = sorted({group for verb in cli.VERBS.values() for group in verb.groups}, key=str)
LEAVES = [(group, leaf) for group in GROUPS for leaf in fields.settings_of(group())]


def ids(value):
    return value.__name__ if isinstance(value, type) else value.name


@pytest.mark.parametrize(("group", "leaf"), LEAVES, ids=ids)
def test_every_setting_has_a_help_text_and_bounds(group, leaf):
    metadata = leaf.field.metadata
    text = metadata["help"]
    assert text[0].isupper() and text.rstrip().endswith((".", ")")), text
    assert len(text) > 12 and "At most." not in text
    if leaf.hint in (int, float):
        assert metadata["bounds"] is not None
    assert (leaf.group.__doc__ or "").strip(), (
        "--help shows the docstring as the heading of the group"
    )
    # Creating the group checks that its defaults are allowed.
    getattr(leaf.group(), leaf.field.name)


def test_every_field_is_a_setting_or_a_group():
    for group in vars(config).values():
        if isinstance(group, type) and issubclass(group, fields.Settings):
            for field in dataclasses.fields(group) if dataclasses.is_dataclass(group) else ():
                assert field.metadata.get("help") or isinstance(field.default, fields.Settings)


def test_flag_names_are_unique_within_a_verb():
    for verb in cli.VERBS.values():
        names = [leaf.name for group in verb.groups for leaf in fields.settings_of(group())]
        assert len(names) == len(set(names))


text = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=12)
names = st.lists(st.from_regex(r"\A\w[\w.+-]{0,9}\Z"), max_size=4, unique=True).map(tuple)


def values_of(leaf) -> st.SearchStrategy:
    """Draws allowed values of a setting."""
    bounds, choices = leaf.field.metadata["bounds"], leaf.field.metadata["choices"]
    default = st.just(leaf.field.default)
    if leaf.name == "targets":
        order = config.ALL_TARGETS
        subsets = st.sets(st.sampled_from(order), min_size=1)
        return subsets.map(lambda chosen: tuple(t for t in order if t in chosen))
    if leaf.name == "reaction_delay":
        return st.one_of(st.sampled_from([None, "auto"]), st.tuples(st.floats(0, 10)))
    if leaf.name == "rating_scale":
        return st.tuples(st.floats(-1000, 0), st.floats(0.5, 1000))
    if leaf.name == "lstm_units":
        return st.lists(st.integers(1, 10**6), min_size=1, max_size=4).map(tuple)
    if choices is not None:
        return (
            st.sampled_from(list(choices)) if not isinstance(leaf.field.default, tuple) else default
        )
    if leaf.hint is bool:
        return st.booleans()
    if leaf.hint is int:
        high = None if bounds.high == math.inf else int(bounds.high)
        return st.integers(int(bounds.low), high)
    if leaf.hint is float:
        numbers = st.floats(bounds.low, bounds.high, allow_nan=False, allow_infinity=False)
        return numbers.filter(lambda value: value in bounds)
    if leaf.hint is str:
        return st.one_of(default, text)
    return names


@pytest.mark.parametrize("group", [config.Experiment, config.Finetuning], ids=ids)
@hypothesis.given(data=st.data())
@hypothesis.settings(max_examples=25, deadline=None, derandomize=True)
def test_flags_of_a_run_parse_back_to_the_same_run(group, data):
    drawn = {
        leaf.name: data.draw(values_of(leaf), leaf.name) for leaf in fields.settings_of(group())
    }
    try:
        run = fields.changed(group(), drawn)
    except errors.InputError:
        hypothesis.reject()  # the values contradict each other
    assert cli.deserialise(group, cli.serialise(run), "run.flags") == run


def parse(verb, *flags):
    return cli.parse(verb, flags)


def test_words_stand_for_special_values():
    faces = parse("predict", "--max_faces=all").read(config.Prediction).max_faces
    assert faces is None
    assert parse("train", "--reaction_delay=auto").read(config.ReactionDelay).seconds == "auto"
    delays = parse("train", "--reaction_delay=2,2.5").read(config.ReactionDelay)
    assert delays.seconds == (2.0, 2.5) and delays.per_target(2) == (2.0, 2.5)
    assert config.ReactionDelay((1.5,)).per_target(2) == (1.5, 1.5)
    with pytest.raises(ValueError, match="still auto"):
        config.ReactionDelay("auto").per_target(2)


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--mixed_precision", "true"),
        ("--nomixed_precision", "false"),
        ("--mixed_precision=auto", "auto"),
        ("--mixed_precision=float16", "float16"),
    ],
)
def test_a_switch_may_be_written_without_a_value(flag, expected, tmp_path):
    (tmp_path / "a.flags").write_text(f"{flag}\n")
    for flags in ([flag], [f"--flagfile={tmp_path / 'a.flags'}"]):
        arguments = parse("train", *flags, "--nojit_compile")
        training = arguments.read(config.Training)
        assert (training.mixed_precision, training.jit_compile) == (expected, "false")
    stored = cli.deserialise(config.Finetuning, f"{flag}\n--jit_compile\n", "run.flags")
    assert (stored.mixed_precision, stored.jit_compile) == (expected, "true")


def test_file_names_may_contain_commas():
    inputs = parse("predict", "--video=a,b.mp4", "--video=c.mp4").read(config.Inputs)
    assert inputs.video == ("a,b.mp4", "c.mp4")


@pytest.mark.parametrize(
    ("verb", "flag", "message"),
    [
        (
            "predict",
            "--epochs=3",
            "--epochs is a flag of train, reproduce, finetune, not of predict",
        ),
        ("predict", "--targets=arousal", "--targets is a flag of "),
        ("predict", "--batch_size=64", "--batch_size is a flag of "),
        ("prepare", "--siamese_weight=0", "--siamese_weight is a flag of train"),
        ("train", "--nocnn", "--nocnn is a flag of export, not of train"),
        ("train", "--joy=3", "unknown flag --joy"),
        ("train", "--epochs=3.5", "--epochs=3.5: found '3.5', expected a whole number"),
        ("train", "--learning_rate=fast", "found 'fast', expected a number"),
        ("train", "--lstm_units=50,x", "found '50,x', expected numbers"),
        ("train", "--flagfile=/nowhere.flags", "/nowhere.flags: no such flagfile"),
        ("train", "P1", "unexpected arguments: P1; begin every flag with --"),
        ("train", "--reaction_delay_origin=found", "reaction_delay_origin"),
    ],
)
def test_wrong_arguments_are_refused(verb, flag, message):
    with pytest.raises(errors.InputError) as raised:
        parse(verb, flag)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("keywords", "changes"),
    [
        ({"lstm_units": [6, 5]}, {"lstm": config.StackedLSTM((6, 5))}),
        ({"reaction_delay": 2}, {"reaction_delay": config.ReactionDelay((2.0,))}),
        ({"reaction_delay": "auto"}, {"reaction_delay": config.ReactionDelay("auto")}),
        ({"clip_frames": np.int64(7)}, {"clip": config.Clip(7)}),
        ({"manual_dir": pathlib.Path("FOLDER")}, {"manual_dir": "FOLDER"}),
        ({"workdir": None}, {}),
        ({"jit_compile": True}, {"training": config.Training(jit_compile="true")}),
        ({"mixed_precision": False}, {"training": config.Training(mixed_precision="false")}),
    ],
)
def test_python_gives_settings_by_the_names_of_the_flags(keywords, changes):
    arguments = cli.from_keywords([config.Experiment], keywords)
    assert arguments.read(config.Experiment) == config.Experiment(**changes)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"epoch": 3}, "`epoch` is not a setting; did you mean `epochs`?"),
        ({"delay": 2.0}, "`delay` is not a setting; did you mean `reaction_delay`?"),
        ({"reaction_delay_origin": "found"}, "`reaction_delay_origin` is not a setting"),
        ({"epochs": "3"}, "`epochs`: found '3', expected a whole number"),
        ({"mixed_precision": 1}, "`mixed_precision`: found 1, expected text"),
        ({"workdir": 3}, "`workdir`: found 3, expected text"),
        ({"lstm_units": [50, 4.5]}, "`lstm_units`: found 4.5, expected a whole number"),
        ({"learning_rate": True}, "`learning_rate`: found True, expected a number"),
        ({"reaction_delay": "soon"}, "`reaction_delay`: found 'soon', expected a number"),
    ],
)
def test_wrong_settings_in_python_are_refused(keywords, message):
    with pytest.raises(errors.InputError) as raised:
        cli.from_keywords([config.Experiment], keywords)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("verb", "group", "flags", "message"),
    [
        ("train", config.Experiment, ["--epochs=0"], "`epochs` must be at least 1, found 0"),
        ("train", config.Experiment, ["--dataset=imagenet"], "`dataset` must be one of demo, "),
        ("train", config.Experiment, ["--targets=joy"], "`targets` must be some of valence, "),
        ("train", config.Experiment, ["--targets=arousal,valence"], "in the order valence,arousal"),
        ("train", config.Experiment, ["--seed=4294967296"], "at least 0 and at most 4294967295"),
        (
            "train",
            config.Experiment,
            ["--learning_rate=nan"],
            "`learning_rate` must be more than 0",
        ),
        ("train", config.Experiment, ["--reaction_delay=nan"], "at most 10 seconds"),
        ("predict", config.Prediction, ["--identity_seconds=inf"], "at least 0 seconds, found inf"),
        ("train", config.Experiment, ["--rating_scale=9,1"], "the lowest and the highest rating"),
        ("prepare", config.Preparation, ["--rating_scale=nan,1"], "such as 1,9, found nan,1.0"),
        ("train", config.Experiment, ["--reaction_delay=1,2,3"], "or one for each of valence, aro"),
        ("train", config.Experiment, ["--clip_frames=4"], "lower `local_intervals`"),
        ("train", config.Experiment, ["--lstm_units="], "must name at least one layer"),
        ("train", config.Experiment, ["--max_rating_gap=0"], "more than 0 seconds, found 0"),
        (
            "train",
            config.Experiment,
            ["--precision=int8"],
            "not available with `runtime=tensorflow`",
        ),
        (
            "train",
            config.Experiment,
            [f"--{term}_weight=0" for term in ("label", "trend", "local", "global", "siamese")],
            "the weights of all loss terms are 0",
        ),
        ("finetune", config.Finetuning, ["--frozen_epochs=40"], "less than the 40 `epochs`"),
        (
            "train",
            config.Training,
            ["--jit_compile=yes"],
            "must be one of auto, true, false, found",
        ),
        *(
            ("prepare", config.Devices, [f"--device={device}"], "`device` must be auto, cpu, gpu")
            for device in ("gpu:", "gpu:1,", "gpu:-1", "GPU", "tpu", "1", "gpu:\u0661")
        ),
        ("predict", config.Prediction, ["--max_faces=0"], "`max_faces` must be at least 1"),
        ("predict", config.Prediction, ["--hold_seconds=9"], "at most `identity_seconds` (2)"),
        ("predict", config.Inputs, ["--video=a", "--camera=0"], "exclude each other"),
        (
            "predict",
            config.Inputs,
            ["--video=a", "--max_seconds=2"],
            "`max_seconds` is for a camera",
        ),
        (
            "predict",
            config.Outputs,
            ["--outputs=csv,gif"],
            "`outputs` must be some of csv, seconds",
        ),
        ("predict", config.Outputs, ["--outputs="], "found none"),
        ("predict", config.Inputs, ["--camera=0", "--workers=2"], "`workers` are for videos"),
        ("predict", config.Inputs, ["--camera=0", "--recursive"], "`recursive` and `workers` are"),
    ],
)
def test_wrong_values_are_refused(verb, group, flags, message):
    with pytest.raises(errors.InputError) as raised:
        parse(verb, *flags).read(group)
    assert message in str(raised.value)


def test_one_flagfile_serves_several_verbs(tmp_path):
    path = tmp_path / "study.flags"
    path.write_text("# A study\n--dataset=recola\n--epochs=7\n--nomixed_precision\n--faces=3\n")
    more = tmp_path / "more.flags"
    more.write_text(f"--flagfile={path}\n--seed=4\n")
    assert parse("train", f"--flagfile={more}").read(config.Experiment).training.seed == 4
    assert parse("train", f"--flagfile={path}", "--epochs=8").read(config.Training).epochs == 8
    assert parse("describe", f"--flagfile={path}").read(config.Description).faces == 3
    assert parse("prepare", f"--flagfile={path}").read(config.Preparation).dataset == "recola"
    path.write_text("--joy=1\n")
    with pytest.raises(errors.InputError, match="joy"):
        parse("train", f"--flagfile={path}")


def test_words_are_videos_of_predict():
    arguments = parse("predict", "a b.mp4", "--camera=0", "--video=c.mp4", "d")
    with pytest.raises(errors.InputError, match="`video` and `camera` exclude each other"):
        arguments.read(config.Inputs)
    arguments = parse("predict", "a b.mp4", "--nooverwrite", "--video=c.mp4", "d")
    assert arguments.read(config.Inputs).video == ("c.mp4", "a b.mp4", "d")
    with pytest.raises(cli.HelpRequest, match=r"python -m ast_net.predict \[VIDEO ...\] \[--FLAG"):
        parse("predict", "--help")


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_shows_examples_and_every_flag(verb):
    with pytest.raises(cli.HelpRequest) as request:
        parse(verb, "--help")
    text = str(request.value)
    assert text.index("Examples:") < text.index("\n  --")
    for example in cli.VERBS[verb].examples:
        assert f"python -m ast_net.{verb} {example}" in text
    for group in cli.VERBS[verb].groups:
        for leaf in fields.settings_of(group()):
            shown = f"--[no]{leaf.name}\n" if leaf.hint is bool else f"--{leaf.name}="
            assert (shown in text) != leaf.field.metadata["derived"], leaf.name
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("verb", cli.VERBS)
def test_examples_in_the_help_parse(verb):
    for example in cli.VERBS[verb].examples:
        arguments = parse(verb, *example.partition("#")[0].split())
        for group in cli.VERBS[verb].groups:
            arguments.read(group)


@pytest.mark.parametrize("verb", cli.VERBS)
def test_wrong_values_are_reported_before_tensorflow_is_imported(verb):
    flag = "--dataset=x" if verb not in ("predict", "export", "app") else "--precision=x"
    command = [sys.executable, "-X", "importtime", "-m", f"ast_net.{verb}", flag]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 1 and "error: " in process.stderr
    assert "ast_net.config" in process.stderr and "tensorflow" not in process.stderr
