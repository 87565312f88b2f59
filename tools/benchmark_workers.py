"""Measures how many runs in parallel finish soonest: many with few threads, or few with many.

    tools/run tools/benchmark_workers.py [--workers=1,2] [--runs=2] [--repeats=2] -- \\
        --dataset=demo --epochs=3

After -- come the flags of `train`, without the workdir. The data set is prepared first. Prints a
line for each number of workers, which share the cores, with the time that all runs took in each
repetition. The numbers of workers take turns.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

from ast_net import cli, config, jobs
from ast_net.records import store


def measure(flags: list[str], workers: int, runs: int) -> float:
    """Returns the time of `runs` runs with `workers` workers, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        commands = [
            jobs.Command(
                f"run_{number}",
                ("-m", "ast_net.train", *flags, f"--workdir={folder}/run_{number}"),
            )
            for number in range(runs)
        ]
        begin = time.monotonic()
        failures = jobs.run(pathlib.Path(folder, "logs"), commands, workers)
        if failures:
            raise SystemExit("\n".join(failures.values()))
        return time.monotonic() - begin


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", default="1,2", help="numbers of workers to compare")
    parser.add_argument("--runs", type=int, default=2, help="number of runs")
    parser.add_argument("--repeats", type=int, default=2, help="number of repetitions")
    arguments, flags = parser.parse_known_args()
    flags = [flag for flag in flags if flag != "--"]
    store.prepare(cli.parse("train", flags).read(config.Experiment))
    times: dict[int, list[float]] = {int(workers): [] for workers in arguments.workers.split(",")}
    for _ in range(arguments.repeats):
        for workers, seconds in times.items():
            seconds.append(measure(flags, workers, arguments.runs))
    python = sys.version.split()[0]
    print(f"{arguments.runs} runs, Python {python}, {subprocess.getoutput('uptime')}")
    for workers, seconds in times.items():
        cells = ", ".join(f"{value:.1f}" for value in seconds)
        best = min(seconds) / arguments.runs
        print(f"{workers} workers: {cells} s, at best {best:.1f} s per run")


if __name__ == "__main__":
    main()
