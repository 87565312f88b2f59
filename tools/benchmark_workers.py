"""Measures whether several runs of few threads or one run of many threads does more work.

    tools/run tools/benchmark_workers.py [--workers=1,2] [--runs=2] [--repeats=2] -- --dataset=demo --epochs=3

After -- come the flags of `train`, but for the workdir. The data set is prepared first. A line for each
number of workers, which share the cores: the time that all runs took, interleaved over the repeats.
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
    """Returns the seconds that so many runs take with so many workers."""
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
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    own, flags = parser.parse_known_args()
    flags = [flag for flag in flags if flag != "--"]
    store.prepare(cli.parse("train", flags).read(config.Experiment))
    seconds: dict[int, list[float]] = {int(workers): [] for workers in own.workers.split(",")}
    for _ in range(own.repeats):
        for workers, measured in seconds.items():
            measured.append(measure(flags, workers, own.runs))
    print(f"{own.runs} runs, Python {sys.version.split()[0]}, {subprocess.getoutput('uptime')}")
    for workers, measured in seconds.items():
        shown = ", ".join(f"{value:.1f}" for value in measured)
        print(f"workers {workers}: {shown} s, {min(measured) / own.runs:.1f} s a run at best")


if __name__ == "__main__":
    main()
