"""Measures how long `predict` takes for a short clip, from its start to its end.

    tools/run tools/benchmark_start.py VIDEO [--repeats=5] [--before=TREE]

Prints medians in seconds: of wall time, of processor time, and of the command's stages. The rest is
Python's start and the flags. TREE is another checkout of the package; both take turns, each time in
a new process. A first round, which makes the networks that data_dir keeps, is not counted.
"""

import argparse
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

from ast_net.reports import tables

ROOT = pathlib.Path(__file__).parents[1]
STAGES = ("imports", "networks", "clip")
# Does what the command does, and prints when each stage begins, and when the last one ends.
PROGRAM = """
import sys, time
times = [time.perf_counter()]
from ast_net import config, imports
with imports.of_command():
    from ast_net import devices
    from ast_net.prediction import inputs, pipeline, prediction_model, session
devices.use(config.Devices())
times.append(time.perf_counter())
model = prediction_model.load(config.Networks())
stages = pipeline.Pipeline(model, config.Prediction())
times.append(time.perf_counter())
recordings = inputs.find((sys.argv[1],), None, False)
session.predict_files(stages, recordings, config.Outputs(overwrite=True))
times.append(time.perf_counter())
print(*times)
"""


def run(tree: pathlib.Path, folder: pathlib.Path, *arguments: str) -> tuple[list[float], str]:
    """Runs Python on a checkout; returns its wall and processor time, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=folder, capture_output=True, text=True
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stderr)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return [wall, user + system], done.stdout


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=pathlib.Path, help="a short clip")
    parser.add_argument("--repeats", type=int, default=5, help="number of repetitions")
    parser.add_argument("--before", type=pathlib.Path, help="another checkout")
    arguments = parser.parse_args()
    video = str(arguments.video.resolve())
    trees = {"before": arguments.before.resolve()} if arguments.before else {}
    trees["now"] = ROOT
    totals: dict[str, list[list[float]]] = {name: [] for name in trees}
    stages = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(1 + arguments.repeats):
            for name, tree in trees.items():
                place = pathlib.Path(folder, name)
                place.mkdir(exist_ok=True)
                command = "-m", "ast_net.predict", video, "--overwrite"
                totals[name].append(run(tree, place, *command)[0])
            _, printed = run(ROOT, place, "-c", PROGRAM, video)
            stages.append(np.diff([float(word) for word in printed.splitlines()[-1].split()]))
    rows: list[tables.Row] = []
    for name, seconds in totals.items():
        wall, processor = np.median(seconds[1:], axis=0)
        rows.append({"predict": name, "wall": wall, "processor": processor})
        rows[-1] |= dict.fromkeys(STAGES)
    rows[-1] |= dict(zip(STAGES, np.median(stages[1:], axis=0), strict=True))
    print(tables.markdown(rows, digits=2))


if __name__ == "__main__":
    main()
