"""Stages that work at the same time, each in a thread, none far ahead of the next."""

import collections
import concurrent.futures
from collections.abc import Generator, Iterable
from typing import Any, TypeVar

_Item = TypeVar("_Item")


def run(items: Iterable[_Item], ahead: int) -> Generator[_Item, None, None]:
    """Yields the items, which are made in a thread of their own, at most `ahead` of them in store.

    Decoding, TensorFlow, OpenCV and OpenVINO let other threads run while they compute. An error is
    raised here, after the items before it. Closing this iterator stops the thread and closes
    `items`. With `ahead` 0 there is no thread: an item is made when it is asked for.
    """
    if not ahead:
        yield from items
        return
    iterator = iter(items)
    end: Any = object()
    executor = concurrent.futures.ThreadPoolExecutor(1)
    try:
        # One more than are in store is being made, or waits for room.
        store = collections.deque(executor.submit(next, iterator, end) for _ in range(ahead + 1))
        while (item := store.popleft().result()) is not end:
            store.append(executor.submit(next, iterator, end))
            yield item
    finally:
        executor.shutdown(cancel_futures=True)
        if hasattr(items, "close"):
            items.close()
