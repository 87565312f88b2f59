"""Loaded by the Dask workers of tests/test_shared_work.py: one of them waits to be killed.

While there is a file KILL_ME, a FIFO, the first process that is in the middle of a recording or a
video takes it, writes its number to it, and waits.
"""

import os
import pathlib
import threading

from ast_net.prediction import pipeline
from ast_net.records import example_format

_FIFO = pathlib.Path(os.environ["KILL_ME"])


def _in_the_middle(function):
    def generator(*arguments):
        for number, item in enumerate(function(*arguments)):
            yield item
            if number == 0:
                _wait_to_be_killed()

    return generator


def _wait_to_be_killed():
    taken = _FIFO.with_suffix(f".{os.getpid()}")
    try:
        _FIFO.rename(taken)
    except FileNotFoundError:
        return
    with taken.open("w", buffering=1) as fifo:
        print(os.getpid(), file=fifo)
        threading.Event().wait()


example_format.examples = _in_the_middle(example_format.examples)
pipeline.Pipeline.predict = _in_the_middle(pipeline.Pipeline.predict)
