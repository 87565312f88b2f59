"""Runs a stage of the pipeline in a thread of its own, so that stages work in parallel."""

import collections
import concurrent.futures
from collections.abc import Generator, Iterable
from typing import Any, TypeVar

_Item = TypeVar("_Item")


def run(items: Iterable[_Item], ahead: int) -> Generator[_Item, None, None]:
    """Yields the items, computing them in a thread that keeps up to `ahead` of them ready.

    Threads are enough, as decoding, TensorFlow, OpenCV and OpenVINO release Python's global lock
    while they compute. An error in the thread is raised here, after the items before it. Closing
    this iterator stops the thread and closes `items`. With `ahead` 0 there is no thread: an item
    is computed when the caller asks for it.
    """
    if not ahead:
        yield from items
        return
    iterator = iter(items)
    end: Any = object()
    executor = concurrent.futures.ThreadPoolExecutor(1)
    try:
        # `ahead` items that are ready, and one that is being computed.
        queue = collections.deque(executor.submit(next, iterator, end) for _ in range(ahead + 1))
        while (item := queue.popleft().result()) is not end:
            queue.append(executor.submit(next, iterator, end))
            yield item
    finally:
        executor.shutdown(cancel_futures=True)
        if hasattr(items, "close"):
            items.close()
