"""Joins what several callers ask a server for at the same time into few requests."""

import collections
import concurrent.futures
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ast_net import errors
from ast_net.serving import transports

# Longest time that a request waits for callers that were in the one before, in seconds.
_GATHERING = 0.005


class _Part(NamedTuple):
    inputs: transports.Arrays
    outputs: concurrent.futures.Future

    @property
    def rows(self) -> int:
        return len(next(iter(self.inputs.values())))

    def fits(self, other: "_Part") -> bool:
        """Whether both can be in the same request."""
        kinds = [
            {name: (values.dtype, values.shape[1:]) for name, values in part.inputs.items()}
            for part in (self, other)
        ]
        return kinds[0] == kinds[1]


class JointRequests:
    """Sends the rows of several callers in one request, and gives each caller its own.

    What is asked for while other requests are on their way goes together into the next one, in the
    order of asking. A request also waits for some milliseconds until it has as many parts as the
    one before, as its callers may be about to ask again; so a single caller never waits.

    If the server refuses a request, each part of it is sent again alone, so that only the caller
    whose part is malformed gets the error. Any other InputError says that there is no server, and
    all who wait get it.
    """

    def __init__(
        self, predict: Callable[[transports.Arrays], transports.Arrays], max_rows: int, at_once: int
    ) -> None:
        """Args:
        predict: sends a request: inputs [B, ...] by name -> outputs [B, ...] by name. It raises
          `transports.Refused` if the server refuses the inputs.
        max_rows: largest B of a request with several parts.
        at_once: maximum number of requests that are on their way at the same time.
        """
        self._predict, self._max_rows = predict, max_rows
        # All below is changed only with this lock held.
        self._changed = threading.Condition()
        self._free = at_once
        self._waiting: collections.deque[_Part] = collections.deque()
        # Number of parts in the latest request.
        self._latest = 0

    def predict(self, parts: Sequence[transports.Arrays]) -> list[transports.Arrays]:
        """Returns the outputs of several parts; may be called in several threads.

        Args:
          parts: the inputs of each part by name, [n, ...], n the number of its rows.

        Returns:
          The outputs of each part by name, [n, ...].

        Raises:
          ValueError: the inputs of a part do not have the same number of rows.
          Exception: what `predict` of the constructor raised for the first part that failed.
        """
        for inputs in parts:
            rows = {name: len(values) for name, values in inputs.items()}
            if len({*rows.values()}) != 1:
                raise ValueError(f"expected inputs with the same number of rows, found {rows}")
        own = [_Part(inputs, concurrent.futures.Future()) for inputs in parts]
        with self._changed:
            self._waiting.extend(own)
            self._changed.notify_all()
        # Whoever has a turn sends what has waited longest, be it another caller's.
        while not _are_answered(own):
            request = self._next_request(own)
            if request:
                try:
                    self._send(request)
                finally:
                    with self._changed:
                        self._free += 1
                        self._changed.notify_all()
        return [part.outputs.result() for part in own]

    def _next_request(self, own: Sequence[_Part]) -> list[_Part]:
        """Waits until a request may be sent and takes its parts.

        Args:
          own: parts of the caller; when other threads have had them answered, there is no need to
            wait any longer.

        Returns:
          The parts; none if there is nothing to send now.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._may_send() or _are_answered(own))
            # More parts may come now, or another thread may send these.
            self._changed.wait_for(
                lambda: (
                    not self._may_send() or _are_answered(own) or len(self._waiting) >= self._latest
                ),
                _GATHERING,
            )
            if not self._may_send() or _are_answered(own):
                return []
            request = self._take()
            self._free -= 1
            self._latest = len(request)
            return request

    def _take(self) -> list[_Part]:
        """Removes the parts of the next request from those that wait."""
        result = [self._waiting.popleft()]
        while self._waiting and self._waiting[0].fits(result[0]):
            rows = sum(part.rows for part in (*result, self._waiting[0]))
            if rows > self._max_rows:
                break
            result.append(self._waiting.popleft())
        return result

    def _may_send(self) -> bool:
        return self._free > 0 and len(self._waiting) > 0

    def _send(self, parts: Sequence[_Part]) -> None:
        """Sends parts in one request; each gets its outputs or its error."""
        requests = [parts]
        try:
            while requests:
                request = requests.pop(0)
                try:
                    outputs = self._predict(_joined([part.inputs for part in request]))
                except transports.Refused as error:
                    if len(request) > 1:
                        requests = [[part] for part in request]
                    else:
                        request[0].outputs.set_exception(error)
                else:
                    answers = _split(outputs, [part.rows for part in request])
                    for part, answer in zip(request, answers, strict=True):
                        part.outputs.set_result(answer)
        except BaseException as error:
            self._fail(parts, error)
            # An interrupt is for this thread, whoever's parts it has sent.
            if not isinstance(error, Exception):
                raise

    def _fail(self, parts: Sequence[_Part], error: BaseException) -> None:
        """Gives the error to those of the parts that have no answer."""
        if isinstance(error, errors.InputError):
            # The server is away. Those who wait would find out one after the other.
            with self._changed:
                parts = [*parts, *self._waiting]
                self._waiting.clear()
        for part in parts:
            if not part.outputs.done():
                part.outputs.set_exception(error)


def _are_answered(parts: Sequence[_Part]) -> bool:
    return all(part.outputs.done() for part in parts)


def _joined(parts: Sequence[transports.Arrays]) -> transports.Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _split(outputs: transports.Arrays, rows: Sequence[int]) -> list[transports.Arrays]:
    """Divides outputs into parts of so many rows; the last has all that remain."""
    ends = [*itertools.accumulate(rows)][:-1]
    parts = {name: np.split(np.atleast_1d(values), ends) for name, values in outputs.items()}
    return [{name: values[k] for name, values in parts.items()} for k in range(len(rows))]
