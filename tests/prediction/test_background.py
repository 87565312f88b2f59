"""Stages in threads: order, errors, and shutdown."""

import threading

import pytest

from ast_net.prediction import background


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
    squares = (n * n for n in background.run(numbers(100, closed), 3))
    assert list(background.run(squares, 2)) == [n * n for n in range(100)]
    assert closed.is_set()


def test_computes_only_a_few_items_ahead():
    computed = []
    items = (computed.append(n) or n for n in range(100))
    stage = background.run(items, 4)
    assert next(stage) == 0
    stage.close()
    # One taken, four ready, one waiting for room, and one computed while the stage is closed.
    assert len(computed) <= 7


def test_an_error_comes_after_the_items_before_it():
    stage = background.run(background.run(numbers(9, threading.Event(), fails_at=3), 2), 2)
    assert [next(stage) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no such number"):
        next(stage)


def test_closing_ends_all_threads_and_closes_the_source():
    before, closed = threading.active_count(), threading.Event()
    stage = background.run(background.run(numbers(10**9, closed), 2), 2)
    next(stage)
    stage.close()
    assert closed.is_set()
    assert threading.active_count() == before
