"""Runs a stage of the pipeline in a thread of its own, so that stages work in parallel."""

import collections
import concurrent.futures
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

_Item = TypeVar("_Item")
# Memory of the items that are ready; a frame in 4K takes 25 MB.
_MAX_BYTES = 2**28


def run(
    items: Iterable[_Item],
    ahead: int,
    size: Callable[[_Item], int],
    max_bytes: int = _MAX_BYTES,
) -> Generator[_Item, None, None]:
    """Yields the items, computing them in a thread that keeps some of them ready.

    Threads are enough, as decoding, TensorFlow, OpenCV and OpenVINO release Python's global lock
    while they compute. An error in the thread is raised here, after the items before it. Closing
    this iterator stops the thread and closes `items`.

    Args:
      items: computes an item when it is asked for the next one.
      ahead: number of items that may be ready. With 0 there is no thread: an item is computed when
        the caller asks for it.
      size: returns the bytes of an item.
      max_bytes: memory of the items that may be ready; one is, however large. The next item is
        begun only when there is room for one as large as the last.
    """
    if not ahead:
        yield from items
        return
    ready: collections.deque[tuple[_Item, int]] = collections.deque()
    changed = threading.Condition()
    closed = ended = False

    def has_room() -> bool:
        if closed or not ready:
            return True
        bytes_then = sum(number for _, number in ready) + ready[-1][1]
        return len(ready) < ahead and bytes_then <= max_bytes

    def compute() -> None:
        nonlocal ended
        try:
            for item in items:
                with changed:
                    ready.append((item, size(item)))
                    del item  # The caller may drop it sooner than the next one is there.
                    changed.notify_all()
                    changed.wait_for(has_room)
                    if closed:
                        return
        finally:
            with changed:
                ended = True
                changed.notify_all()

    executor = concurrent.futures.ThreadPoolExecutor(1)
    try:
        computed = executor.submit(compute)
        while True:
            with changed:
                changed.wait_for(lambda: ready or ended)
                if not ready:
                    break
                item, _ = ready.popleft()
                changed.notify_all()
            yield item
            del item
        computed.result()
    finally:
        with changed:
            closed = True
            changed.notify_all()
        executor.shutdown()
        if hasattr(items, "close"):
            items.close()
