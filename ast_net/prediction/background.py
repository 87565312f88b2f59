"""Stages that work at the same time, each in a thread, none far ahead of the next."""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable
from typing import NamedTuple, TypeVar

_Item = TypeVar("_Item")


class _End(NamedTuple):
    """Comes after the last item."""

    error: BaseException | None


def run(items: Iterable[_Item], ahead: int) -> Generator[_Item, None, None]:
    """Yields the items, which are made in a thread of their own, at most `ahead` of them in store.

    Decoding, TensorFlow, OpenCV and OpenVINO let other threads run while they compute. An error is
    raised here, after the items before it. Closing this iterator stops the thread and closes
    `items`. With `ahead` 0 there is no thread: an item is made when it is asked for.
    """
    if not ahead:
        yield from items
        return
    store: queue.Queue = queue.Queue(ahead)
    stopped = threading.Event()

    def work() -> None:
        end = _End(None)
        try:
            for item in items:
                if stopped.is_set():
                    break
                store.put(item)
        except BaseException as error:
            end = _End(error)
        finally:
            if hasattr(items, "close"):
                items.close()
            store.put(end)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while not isinstance(item := store.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        while thread.is_alive():  # it may wait for room
            with contextlib.suppress(queue.Empty):
                store.get(timeout=0.05)
