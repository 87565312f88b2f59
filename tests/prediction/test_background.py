"""Stages in threads: order, errors, and shutdown."""

import threading
import weakref

import pytest

from ast_net.prediction import background


def run(items, ahead):
    return background.run(items, ahead, lambda item: 1)


def numbers(limit, closed, fails_at=None):
    try:
        for number in range(limit):
            if number == fails_at:
                raise ValueError("no such number")
            yield number
    finally:
        closed.set()


def test_keeps_the_order_through_several_stages():
    closed = threading.Event()
    squares = (n * n for n in run(numbers(100, closed), 3))
    assert list(run(squares, 2)) == [n * n for n in range(100)]
    assert closed.is_set()


def test_computes_only_a_few_items_ahead():
    computed = []
    items = (computed.append(n) or n for n in range(100))
    stage = run(items, 4)
    assert next(stage) == 0
    stage.close()
    # One taken, four ready, and one computed while the stage is closed.
    assert len(computed) <= 6


def test_an_error_comes_after_the_items_before_it():
    stage = run(run(numbers(9, threading.Event(), fails_at=3), 2), 2)
    assert [next(stage) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no such number"):
        next(stage)


def test_closing_ends_all_threads_and_closes_the_source():
    before, closed = threading.active_count(), threading.Event()
    stage = run(run(numbers(10**9, closed), 2), 2)
    next(stage)
    stage.close()
    assert closed.is_set()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("sizes", "begun"),
    [
        ([1] * 9, 7),  # One taken, and six, as many as may be ready.
        ([4] * 9, 3),  # One taken, and two: three would be 12 bytes.
        ([30] * 9, 2),  # One taken, and one, however large.
        ([1, 30, 30, 1, 1], 2),
        ([1, 1, 9, 1, 1], 3),
    ],
)
def test_items_that_are_ready_have_limited_memory(sizes, begun):
    computed = []
    full = threading.Event()

    def items():
        for size in sizes:
            computed.append(size)
            yield size

    def noted(size):
        if len(computed) == begun:
            full.set()
        return size

    stage = background.run(items(), 6, noted, 10)
    assert next(stage) == sizes[0]
    assert full.wait(20)
    stage.close()
    assert len(computed) == begun


def test_an_item_is_not_kept_when_it_has_been_taken():
    """A frame may take 200 MB."""

    class Frame:
        pass

    alive = weakref.WeakSet()

    def items():
        for _ in range(5):
            frame = Frame()
            alive.add(frame)
            yield frame
            del frame

    stage = run(items(), 1)
    for _ in range(3):
        next(stage)
    # The stage has the one that was taken last, and one that is ready.
    assert len(alive) <= 2
    stage.close()
