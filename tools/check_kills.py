"""Kills commands, runs them again, and compares what they leave with what undisturbed runs leave.

    tools/run tools/check_kills.py FOLDER [--kills=8] [--commands=prepare,train] [--seed=0]

Each command first runs twice without a kill, in folders of their own. Files that differ between
these two runs, such as those with times, are compared by name only; they are listed. Then the
command is killed `kills` times, each time in a fresh copy of its inputs: in turn by SIGKILL and
SIGTERM, in turn at a random moment and right before or after a rename. The same command is run
again to its end. Prints a line for each kill. FOLDER must not exist; it needs 100 MB.
"""

import argparse
import hashlib
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np

from ast_net.datasets import fer2013, recola_layouts
from ast_net.demo import synthesis

# Runs a command that counts its renames, writes their number at the end, and kills itself at one.
WRAPPER = """
import atexit, os, pathlib, runpy, sys
command, renames, number, signal, after = sys.argv[1:6]
del sys.argv[1:6]
done = 0
def counted(rename):
    def replacement(*arguments, **options):
        global done
        done += 1
        here = done == int(number)
        if here and after == "0":
            os.kill(os.getpid(), int(signal))
        rename(*arguments, **options)
        if here and after == "1":
            os.kill(os.getpid(), int(signal))
    return replacement
os.replace, os.rename = counted(os.replace), counted(os.rename)
atexit.register(lambda: pathlib.Path(renames).write_text(str(done)))
runpy.run_module(f"ast_net.{command}", run_name="__main__", alter_sys=True)
"""
RECORDINGS = ["--dataset=recola", "--train_recordings=P1", "--dev_recordings=P2"]
RECORDINGS += ["--data_dir=data", "--manual_dir=../recola", "--clip_frames=5", "--clip_stride=2"]
TRAIN = [*RECORDINGS, "--workdir=run", "--clip_hop=2", "--batch_size=32", "--lstm_units=6,5"]
TRAIN += ["--epochs=4", "--warmup_epochs=1"]
VIDEOS = [
    f"--video=../recola/{recola_layouts.RELEASE.videos[0]}/{name}.mp4" for name in ["P1", "P2"]
]
# For each command its flags, and the commands that must have run before it.
COMMANDS = {
    "prepare": (RECORDINGS, ()),
    "train": (TRAIN, ("prepare",)),
    "evaluate": (
        ["--workdir=run", "--data_dir=data", "--manual_dir=../recola"],
        ("prepare", "train"),
    ),
    "export": (["--workdir=run", "--export_dir=models/1"], ("prepare", "train")),
    "predict": ([*VIDEOS, "--output_dir=out", "--outputs=csv,figure,video"], ()),
    "finetune": (
        ["--dataset=fer2013", "--manual_dir=../fer2013", "--data_dir=data", "--workdir=run"]
        + ["--backbone=compact", "--epochs=3", "--warmup_epochs=1", "--batch_size=16"],
        (),
    ),
}


def make_inputs(folder: pathlib.Path) -> None:
    """Writes two recordings in RECOLA's layout and pictures in FER2013's."""
    settings = synthesis.DemoSettings(seconds=6.0)
    synthesis.generate(folder / "recola", ["P1", "P2"], recola_layouts.RELEASE, settings)
    rng = np.random.default_rng(0)
    rows = ["emotion,pixels,Usage"]
    for split, number in (("Training", 70), ("PublicTest", 14), ("PrivateTest", 14)):
        for k in range(number):
            pixels = " ".join(map(str, rng.integers(256, size=fer2013.SIZE**2)))
            rows.append(f"{k % 7},{pixels},{split}")
    (folder / "fer2013").mkdir()
    (folder / "fer2013/fer2013.csv").write_text("\n".join(rows))


def start(command: str, folder: pathlib.Path, number: int = 0, kind: int = 0, after: bool = False):
    """Starts a command in a folder; it kills itself at a rename if `number` is not 0."""
    renames = folder.parent / f"{folder.name}.renames"
    arguments = [command, renames, number, int(kind), int(after), *COMMANDS[command][0]]
    return subprocess.Popen(
        [sys.executable, "-c", WRAPPER, *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def complete(command: str, folder: pathlib.Path) -> None:
    """Runs a command to its end."""
    process = start(command, folder)
    _, said = process.communicate()
    finished = command == "export" and "this version exists" in said
    if process.returncode and not finished:
        raise SystemExit(f"{command} in {folder} ended with {process.returncode}:\n{said}")


def content(folder: pathlib.Path) -> dict[str, str]:
    """Returns a digest of each file below a folder, hidden ones too, by its path.

    TensorBoard's logs are left out: each process has one of its own.
    """
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
        if "tfevents" not in path.name
    }


def prepared(name: str, command: str, folder: pathlib.Path) -> pathlib.Path:
    """Makes a new folder with what the commands before `command` leave; these run only once."""
    before = folder / f"before-{command}"
    if not before.exists():
        before.mkdir()
        for earlier in COMMANDS[command][1]:
            complete(earlier, before)
    return pathlib.Path(shutil.copytree(before, folder / name))


def check(command: str, kills: int, folder: pathlib.Path, rng: np.random.Generator) -> int:
    """Kills a command several times; returns how often something was wrong."""
    expected, seconds = [], 0.0
    for k in range(2):
        place = prepared(f"{command}-whole-{k}", command, folder)
        begin = time.monotonic()
        complete(command, place)
        seconds = time.monotonic() - begin
        expected.append(content(place))
    renames = int((folder / f"{command}-whole-1.renames").read_text())
    names = expected[0].keys() | expected[1].keys()
    varying = sorted(name for name in names if expected[0].get(name) != expected[1].get(name))
    print(f"{command}: {seconds:.0f} s, {renames} renames; varies: {', '.join(varying) or 'none'}")
    wrong = 0
    for k in range(kills):
        kind = (signal.SIGKILL, signal.SIGTERM)[k % 2]
        place = prepared(f"{command}-{k}", command, folder)
        if k // 2 % 2:
            number, after = int(rng.integers(1, renames + 1)), bool(rng.integers(2))
            process = start(command, place, number, kind, after)
            moment = f"{'after' if after else 'before'} rename {number}"
        else:
            process = start(command, place)
            wait = seconds * float(rng.uniform(0.1, 0.95))
            moment = f"after {wait:.1f} s"
            try:
                process.wait(wait)
            except subprocess.TimeoutExpired:
                process.send_signal(kind)
        _, said = process.communicate()
        ended = process.returncode
        leftovers = [name for name in content(place) if ".partial-" in name]
        complete(command, place)
        found = content(place)
        problems = [f"has {name}" for name in found.keys() - expected[0].keys()]
        problems += [f"lacks {name}" for name in expected[0].keys() - found.keys()]
        problems += [
            f"differs in {name}"
            for name in found.keys() & expected[0].keys()
            if name not in varying and found[name] != expected[0][name]
        ]
        if "Traceback" in said:
            problems.append("showed a traceback")
        if leftovers and kind == signal.SIGTERM:
            problems.append("left something unfinished after SIGTERM")
        print(
            f"{command} {kind.name} {moment}: ended with {ended}, {len(leftovers)} unfinished; "
            f"{'; '.join(problems) or 'the same in the end'}",
            flush=True,
        )
        wrong += bool(problems)
        if not problems:
            shutil.rmtree(place)
    return wrong


def main() -> None:
    """Prints the lines."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--kills", type=int, default=8, help="number of kills of each command")
    parser.add_argument("--commands", default=",".join(COMMANDS), help="commands to kill")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    arguments = parser.parse_args()
    arguments.folder.mkdir()
    make_inputs(arguments.folder)
    rng = np.random.default_rng(arguments.seed)
    wrong = sum(
        check(command, arguments.kills, arguments.folder.resolve(), rng)
        for command in arguments.commands.split(",")
    )
    print(f"{wrong} kills went wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
