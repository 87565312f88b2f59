"""Stages that work at the same time, each in a thread, none far ahead of the next."""

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")
_END = object()


def run(items: Iterable[_Item], ahead: int) -> Iterator[_Item]:
    """Yields the items, which are made in a thread of their own, at most `ahead` of them in store.

    Decoding, TensorFlow, OpenCV and OpenVINO let other threads run while they compute. An error comes
    out here, after the items before it. Closing this iterator stops the thread and closes `items`.
    """
    store: queue.Queue = queue.Queue(ahead)
    stopped = threading.Event()

    def work() -> None:
        last: object = _END
        try:
            for item in items:
                if stopped.is_set():
                    break
                store.put((item, None))
        except BaseException as error:
            last = error
        finally:
            if hasattr(items, "close"):
                items.close()
            store.put((_END, last))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = store.get()
            if item is _END:
                if error is not _END:
                    raise error
                return
            yield item
    finally:
        stopped.set()
        while thread.is_alive():  # it may wait for room
            with contextlib.suppress(queue.Empty):
                store.get(timeout=0.05)
        thread.join()
