"""Shows the progress of a task, and which files a command wrote.

Messages go through absl's logging. `main` shows them on standard error; in other programs they
appear as these have configured logging.
"""

import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self, TypeVar

import tqdm
from absl import logging

# Minimum seconds between two states of a bar. A notebook stores each of them in its file.
_BAR_INTERVAL = 0.5
# Minimum seconds before the first line of progress and between two lines.
_INTERVAL = 30.0
_COLUMNS = 100
_BAR = "{desc}: {percentage:.0f} %|{bar}| {n_fmt} of {total_fmt}{unit}, {remaining} left"

_Item = TypeVar("_Item")


class Progress:
    """Shows a task's progress: a bar on a terminal or in a notebook, else a line for every tenth.

    Lines are at least half a minute apart. The bar disappears at the end of the block:

        with screen.Progress("tracking talk.mp4", 750) as progress:
            for frame in frames:
                ...
                progress.update()

    Attributes:
      done: the number of units so far.
    """

    def __init__(
        self,
        task: str,
        total: int | None = None,
        units: str = "frames",
        lines: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Shows the bar, empty.

        Args:
          task: the task, such as "tracking talk.mp4".
          total: the approximate number of units; None, if it is unknown, shows no lines.
          units: the name of the units.
          lines: whether lines are shown without a terminal; False for a task that prints its own.
          clock: returns the time in seconds.
        """
        self._task, self._total, self._lines, self._clock = task, total, lines, clock
        self._bar = tqdm.tqdm(
            desc=task,
            total=total,
            unit=f" {units}",
            bar_format=_BAR if total else None,
            # None: where there is no terminal. A notebook has none and shows the bar all the same.
            disable=False if "ipykernel" in sys.modules else None,
            leave=False,
            mininterval=_BAR_INTERVAL,
            dynamic_ncols=True,
        )
        self.done, self._tenths = 0, 0
        self._started = self._shown = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._bar.close()

    def update(self) -> None:
        """Counts one unit."""
        self._bar.update()
        self.done += 1
        if not self._lines or not self._total or not self._bar.disable:
            return
        tenths, now = 10 * self.done // self._total, self._clock()
        if self._tenths < tenths < 10 and now - self._shown >= _INTERVAL:
            self._tenths, self._shown = tenths, now
            seconds = (now - self._started) / self.done * (self._total - self.done)
            logging.info(f"{self._task}: {10 * tenths} %, {time_left(seconds)}")


def counted(
    items: Iterable[_Item], task: str, total: int | None = None, units: str = "frames"
) -> Iterator[_Item]:
    """Yields the items and shows how many are done; the arguments are those of `Progress`."""
    with Progress(task, total, units) as progress:
        for item in items:
            yield item
            progress.update()


def wrote(folder: str | os.PathLike[str], *names: str) -> None:
    """Reports which files of a folder were written; without names, that the whole folder was."""
    lines = [f"wrote {shown(pathlib.Path(folder, *names[:1]))}"]
    for name in names[1:]:
        lines[-1] += ","
        if len(lines[-1]) + len(name) < _COLUMNS:
            lines[-1] += f" {name}"
        else:
            lines.append(f"  {name}")
    logging.info("\n".join(lines))


def shown(path: str | os.PathLike[str]) -> pathlib.Path:
    """Returns a path for display, relative to the current folder if it lies in it."""
    path = pathlib.Path(path)
    absolute, here = pathlib.Path(os.path.abspath(path)), pathlib.Path.cwd()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else path


def number(count: int, name: str) -> str:
    """Returns a count with its noun, such as "1 face" or "2 faces"."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def time_left(seconds: float) -> str:
    """Returns how much longer a task takes, such as "3 min left"."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute left"
    if minutes < 100:
        return f"{minutes} min left"
    return f"{minutes / 60:.0f} h left"
