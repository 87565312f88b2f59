"""What a verb's user sees: every line, what becomes of errors, and that libraries keep silent."""

import importlib.metadata
import io
import logging as std_logging
import os
import re
import signal
import subprocess
import sys
import types

import pytest
from calls import ROOT, python

import ast_net
from ast_net import cli, config, errors, fields, main, screen


class Terminal(io.StringIO):
    """Stands for a terminal."""

    def isatty(self):
        return True

    def lines(self):
        """The lines that stand on it in the end, without empty ones."""
        rows, row, column = [""], 0, 0
        for part in re.findall(r"\r|\n|\x1b\[A|[^\r\n\x1b]+", self.getvalue()):
            if part == "\r":
                column = 0
            elif part == "\n":
                row, column = row + 1, 0
                rows += [""] * (row == len(rows))
            elif part == "\x1b[A":
                row -= 1
            else:
                rows[row] = (
                    rows[row][:column].ljust(column) + part + rows[row][column + len(part) :]
                )
                column += len(part)
        return [line.rstrip() for line in rows if line.strip()]


def open_terminal(monkeypatch):
    """Makes a terminal of standard error; in the test, as pytest exchanges it before each."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def run(monkeypatch, function, *flags, verb="train"):
    """Runs a function as a verb; gives the code or message it ended with."""
    monkeypatch.setattr(sys, "argv", [verb, *flags])
    try:
        main.run(verb, function)
    except SystemExit as ended:
        return ended.code
    return 0


def log(level, message, file=f"/any{os.sep}ast_net{os.sep}faces{os.sep}video.py", name="absl"):
    """Logs what a module of the package would log, or another of a library."""
    record = std_logging.LogRecord(name, level, file, 7, message, (), None)
    logger = std_logging.getLogger(name)
    if logger.isEnabledFor(level):
        logger.handle(record)


# A verb whose C++ libraries write to file descriptor 2 before it ends in some way.
VERB = """
import os, sys
from ast_net import main
def verb(arguments):
    os.write(2, b"I0000 00:00:1.2 3 stub.cc:1] no GPU\\n")
    os.write(2, b"E0000 00:00:1.2 3 cuda.cc:5] failed call to cuInit: no GPU\\n")
    os.write(2, b"terminate called: reason\\n")
    print("the user's line", file=sys.stderr)
    {end}
sys.argv = ["train", *{flags}]
main.run("train", verb)
"""
NOISE, REASON, OWN = "no GPU", "terminate called: reason", "the user's line"


@pytest.mark.parametrize(
    ("end", "code", "shown"),
    [
        ("pass", 0, ""),
        ("os.abort()", -signal.SIGABRT, REASON),
        ("os.kill(os.getpid(), 9)", -signal.SIGKILL, REASON),
        ("os._exit(3)", 3, REASON),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("sys.exit('error: that')", 1, "error: that"),
        ("os.kill(os.getpid(), 2)", 130, "interrupted; run the same command"),
        ("os.kill(os.getpid(), 15)", 143, "interrupted; run the same command"),
        # A second signal while the first one is being handled.
        ("try: os.kill(os.getpid(), 2)\n    finally: os.kill(os.getpid(), 2)", -2, REASON),
    ],
)
def test_libraries_are_silent_until_the_program_dies(end, code, shown):
    done = python("-c", VERB.format(end=end, flags=[]))
    assert done.returncode == code
    assert OWN in done.stderr and shown in done.stderr and NOISE not in done.stderr
    assert (REASON in done.stderr) == (shown == REASON)
    assert ("Traceback" in done.stderr) == ("Error" in shown)


def test_verbose_shows_what_libraries_write():
    done = python("-c", VERB.format(end="pass", flags=["--verbose"]))
    assert done.returncode == 0
    assert all(text in done.stderr for text in (NOISE, REASON, OWN))


@pytest.mark.parametrize(("closed", "shown"), [("2>&-", "1\n2\n"), (">&- 2>&-", "")])
def test_standard_streams_may_be_closed(closed, shown):
    program = """
import sys
from ast_net import main, screen
def verb(arguments):
    screen.wrote("a folder")
    for number in screen.counted([1, 2], "counting", 2):
        print(number)
sys.argv = ["train"]
main.run("train", verb)
"""
    command = f'exec {sys.executable} -c "$PROGRAM" {closed}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PROGRAM": program}
    done = subprocess.run(command, shell=True, env=environment, stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (0, shown)


def test_importing_has_no_effect():
    program = """
import logging, os, sys, warnings
before = dict(os.environ), list(warnings.filters), sys.stderr
import ast_net, ast_net.__main__, ast_net.main, ast_net.noise, ast_net.screen, ast_net.predict
import ast_net.api
ast_net.__version__, ast_net.InputError, dir(ast_net)
assert before == (dict(os.environ), warnings.filters, sys.stderr)
assert not logging.getLogger().handlers
assert not {"tensorflow", "keras", "cv2", "pandas", "matplotlib"} & set(sys.modules)
"""
    done = python("-c", program)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_the_package_loads_nothing_else():
    program = """
import sys
import ast_net
loaded = {name.partition(".")[0] for name in sys.modules if hasattr(sys.modules[name], "__file__")}
print(sorted(loaded - sys.stdlib_module_names - {"__main__"}))
print([name for name in sys.modules if name.startswith("ast_net.")])
"""
    done = python("-S", "-c", program)
    assert (done.stdout.splitlines(), done.stderr) == (["['ast_net']", "[]"], "")


def test_public_names_exist_and_the_version_is_the_installed_one():
    assert ast_net.__version__ == importlib.metadata.version("ast-net")
    for name in ast_net.__all__:
        assert getattr(ast_net, name).__doc__, name
    assert not hasattr(ast_net, "predict_film")


def test_messages_are_sentences(monkeypatch, capsys):
    def verb(_):
        log(std_logging.INFO, "wrote a.csv")
        log(std_logging.WARNING, "no face: give `video=FILE`")
        log(std_logging.DEBUG, "hidden")
        log(std_logging.WARNING, "hidden", "/any/keras/saving.py")
        log(std_logging.ERROR, "hidden", "/any/h5py/file.py", "h5py")

    handlers = list(std_logging.getLogger().handlers)
    assert run(monkeypatch, verb) == 0
    assert capsys.readouterr().err == "wrote a.csv\nwarning: no face: give --video=FILE\n"
    assert std_logging.getLogger().handlers == handlers


def test_verbose_brings_back_libraries_places_and_tracebacks(monkeypatch, capsys):
    seen = []

    def verb(_):
        handler = std_logging.getLogger().handlers[-1]
        seen.append([handler.format(record) for record in made if handler.filter(record)])
        raise errors.InputError("no `video`")

    own = f"/any{os.sep}ast_net{os.sep}a.py"
    made = [
        std_logging.LogRecord("absl", std_logging.DEBUG, own, 7, "own", (), None),
        std_logging.LogRecord("h5py", std_logging.WARNING, "/any/file.py", 8, "theirs", (), None),
        std_logging.LogRecord("h5py", std_logging.DEBUG, "/any/file.py", 8, "hidden", (), None),
    ]
    assert run(monkeypatch, verb, "--verbose") == "error: no --video"
    [[first, second]] = seen
    assert re.match(r"I\d{4} \d\d:\d\d:.* a.py:7\] own$", first)
    assert re.match(r"W\d{4} \d\d:\d\d:.* file.py:8\] theirs$", second)
    assert "Traceback" in capsys.readouterr().err


def test_an_error_that_nobody_expects_has_its_traceback(monkeypatch):
    def verb(_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(monkeypatch, verb)


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("train", "interrupted; run the same command again to continue\n"),
        ("export", "interrupted\n"),
    ],
)
def test_who_interrupts_learns_how_to_go_on(verb, expected, monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    assert run(monkeypatch, interrupted, verb=verb) == 130
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("verb", cli.VERBS)
def test_verbose_belongs_to_every_verb_and_to_no_run(verb, tmp_path):
    (tmp_path / "a.flags").write_text("--verbose\n")
    arguments = cli.parse(verb, [f"--flagfile={tmp_path / 'a.flags'}"])
    assert arguments.read(config.Messages).verbose
    assert not cli.parse(verb, []).read(config.Messages).verbose
    for group in cli.VERBS[verb].groups:
        assert "verbose" not in fields.values(arguments.read(group))


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--manul_dir=a", "unknown flag --manul_dir; did you mean --manual_dir?"),
        ("--noverbos", "unknown flag --noverbos; did you mean --verbose?"),
        ("--xyzzy", "unknown flag --xyzzy; --help lists the flags"),
    ],
)
def test_a_flag_that_nobody_knows(flag, expected, monkeypatch):
    assert run(monkeypatch, lambda _: None, flag) == f"error: {expected}"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        # 40 units of so many seconds each: a line every tenth, but at least 30 s apart.
        (60, [f"{k} %, {40 - 4 * k // 10} min left" for k in range(10, 100, 10)]),
        (4, ["20 %, 2 min left", "40 %, 2 min left", "60 %, 1 min left", "80 %, 1 min left"]),
        (0.7, []),
    ],
)
def test_without_a_terminal_progress_is_a_line_every_tenth(seconds, expected, caplog):
    caplog.set_level("INFO", "absl")
    now = [0.0]
    with screen.Progress("tracking a.mp4", 40, clock=lambda: now[0]) as progress:
        for _ in range(40):
            now[0] += seconds
            progress.update()
    assert caplog.messages == [f"tracking a.mp4: {text}" for text in expected]


@pytest.mark.parametrize(("total", "lines"), [(None, True), (0, True), (40, False)])
def test_there_are_no_lines_where_none_would_help(total, lines, caplog):
    caplog.set_level("INFO", "absl")
    now = [0.0]
    with screen.Progress("epoch 1/9", total, lines=lines, clock=lambda: now[0]) as progress:
        for _ in range(40):
            now[0] += 100
            progress.update()
    assert progress.done == 40 and not caplog.messages


def test_a_terminal_has_a_bar_and_messages_above_it(monkeypatch):
    terminal, shown = open_terminal(monkeypatch), []

    def verb(_):
        for k in screen.counted(range(3), "tracking a.mp4", 3):
            log(std_logging.WARNING, f"frame {k} is dark")
            shown.append(terminal.lines())

    assert run(monkeypatch, verb) == 0
    for k, lines in enumerate(shown):
        assert lines[:-1] == [f"warning: frame {j} is dark" for j in range(k + 1)]
        assert re.match(rf"tracking a.mp4: \d+ %\|.*\| {k} of 3 frames, ", lines[-1])
    assert terminal.lines() == shown[-1][:-1]


def test_a_notebook_has_a_bar_without_a_terminal(monkeypatch, capsys):
    def count():
        for _ in screen.counted(range(3), "tracking a.mp4", 3):
            pass
        return capsys.readouterr().err

    assert count() == ""
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    assert "tracking a.mp4: 0 %|" in count()


def test_an_error_stands_in_a_line_of_its_own(monkeypatch):
    terminal = open_terminal(monkeypatch)

    def verb(_):
        for _ in screen.counted(range(3), "tracking a.mp4", 3):
            raise errors.InputError("too dark")

    assert run(monkeypatch, verb) == "error: too dark"
    assert terminal.getvalue() and terminal.lines() == []


def test_it_says_what_was_written_from_where_its_user_stands(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "absl")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    screen.wrote("out/talk", "predictions.csv", "figure.png")
    screen.wrote(tmp_path / "here/out")
    screen.wrote(tmp_path / "there", "a.csv")
    screen.wrote("f" * 80, "predictions.csv", "figure.png", "annotated.mp4")
    assert caplog.messages == [
        "wrote out/talk/predictions.csv, figure.png",
        "wrote out",
        f"wrote {tmp_path}/there/a.csv",
        f"wrote {'f' * 80}/predictions.csv,\n  figure.png, annotated.mp4",
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "less than a minute left"),
        (29, "less than a minute left"),
        (60, "1 min left"),
        (5900, "98 min left"),
        (7200, "2 h left"),
    ],
)
def test_time_left(seconds, expected):
    assert screen.time_left(seconds) == expected


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (
            PermissionError(13, "Permission denied", "out/a"),
            "; give another path, or check who may use this one",
        ),
        (OSError(28, "No space left on device", "out/a"), ""),
    ],
)
def test_an_error_of_the_system_says_where_and_what_to_do(error, remedy, monkeypatch):
    def verb(_):
        raise error

    assert run(monkeypatch, verb) == f"error: out/a: {error.strerror}{remedy}"
