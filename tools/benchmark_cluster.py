"""Measures what an engine adds to each element: the time, and what the shared folder sees.

    tools/run tools/benchmark_cluster.py [--elements=1000] [--folder=data] \\
        --beam_pipeline_options=runner=DaskRunner,dask_scheduler_file=cluster/scheduler.json

The elements are numbers, and nothing is done with them. Prints the time until all results are
there, with one element and with all.
"""

import argparse
import operator
import time

from ast_net import shared_work


def measure(elements: int, options: str, folder: str) -> float:
    """Returns how long an engine takes for elements that need no time, in seconds."""
    start = time.monotonic()
    work = shared_work.Work(int, operator.add, [*range(elements)])
    results: dict[int, int] = {}
    lost = shared_work.run_on_beam(work, options, folder, results.__setitem__)
    if lost or results != {index: index for index in range(elements)}:
        raise SystemExit(f"error: {len(results)} of {elements} results, {len(lost)} lost")
    return time.monotonic() - start


def main() -> None:
    """Prints the times."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--elements", type=int, default=1000, help="number of elements")
    parser.add_argument("--folder", default="data", help="folder that the workers share")
    parser.add_argument("--beam_pipeline_options", required=True, help="Beam's options")
    arguments = parser.parse_args()
    measure(1, arguments.beam_pipeline_options, arguments.folder)  # Loads Beam.
    one, several = (
        measure(count, arguments.beam_pipeline_options, arguments.folder)
        for count in (1, arguments.elements)
    )
    each = 1000 * (several - one) / max(1, arguments.elements - 1)
    print(f"1 element: {one:.1f} s; {arguments.elements}: {several:.1f} s; {each:.1f} ms for each")


if __name__ == "__main__":
    main()
