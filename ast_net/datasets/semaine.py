"""SEMAINE (McKeown et al., IEEE Transactions on Affective Computing 2012), rated with FeelTrace."""

import functools
import pathlib
import re
from collections.abc import Mapping
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from absl import logging

from ast_net import config, errors, files
from ast_net.datasets import annotations, feeltrace, folders, reader

SESSIONS = "Sessions"
# Seconds between two ratings.
TRACE_STEP = 0.02
# The file name of a trace of the user; the groups are its rater and the rated dimension.
_TRACE = re.compile(r"([AR][0-9]+)[RS][0-9]+TUC(?:Ob|Po|Pr|Sp)2?D([AEPV])\.txt", re.IGNORECASE)
_TARGETS = {"V": "valence", "A": "arousal", "E": "expectancy", "P": "power"}


class Semaine(reader.Reader):
    """SEMAINE, sessions of a user with an operator.

    SEMAINE is available at https://semaine-db.eu to those who sign its agreement. Give the folder
    that contains
      Sessions/1/session.xml, which names the subjects and the traces
      Sessions/1/R1S1TUCPoDV.txt and so on, FeelTrace ratings of the user
      Sessions/1/2008.12.05.16.03.15_User_AV_lowQ_Poppy.avi, the user's video
    and the same for the other sessions. The video is the file in the session's folder that matches
    ?*User?*.avi; if several match, choose one with `video_pattern`, such as *User*lowQ*.avi.
    Sessions without such a video, or without a trace of one of `targets`, are left out with a
    warning. There is no standard split. By default, the sessions are split 60 : 20 : 20 into train,
    dev and test, with all sessions of a user in the same part. For another split, give
    `train_recordings=1,2,5` and so on (the names of the folders).
    """

    FRAME_RATE = 49.979
    RATING_STEP = TRACE_STEP

    TARGETS = config.ALL_TARGETS
    VIDEO_PATTERN = "?*User?*.avi"

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        """Returns the complete sessions, split by user; warns of the others.

        Raises:
          InputError: there is no complete session, or a session.xml cannot be read.
        """
        names = [p.parent.name for p in (folder / SESSIONS).glob("*/session.xml")]
        names.sort(key=lambda name: (len(name), name))
        if not names:
            raise errors.InputError(
                f"{folder / SESSIONS}: none of its folders has a session.xml; give the folder that "
                f"contains {SESSIONS} with `manual_dir`"
            )
        sessions = {name: _read_session(folder, name) for name in names}
        by_problem: dict[str, list[str]] = {}
        for name, session in sessions.items():
            by_problem.setdefault(self._problem(session), []).append(name)
        usable = by_problem.pop("", [])
        for problem, unusable in by_problem.items():
            logging.warning(
                f"{folder / SESSIONS}: leaving out {len(unusable)} of {len(names)} sessions, which "
                f"have {problem}: {', '.join(unusable)}"
            )
        if not usable:
            raise errors.InputError(
                f"{folder / SESSIONS}: none of the {len(names)} sessions can be used; they have "
                f"{' or '.join(by_problem)}: check that the copy is complete"
            )
        return folders.split_by_subject({name: sessions[name].subject for name in usable})

    def source(self, folder: pathlib.Path, name: str) -> reader.Source:
        session = _read_session(folder, name)
        problem = self._problem(session)
        if problem:
            raise errors.InputError(
                f"{session.folder}: the session has {problem}; choose other recordings"
            )
        traces = {t: dict(sorted(session.traces[t].items())) for t in self.settings.targets}
        read = functools.partial(read_raters, traces, self.settings.max_rating_gap)
        video = folders.find_video(session.folder, self.video_pattern, {})
        ratings = [path for paths in traces.values() for path in paths]
        return reader.Source(name, video, ratings, read, read, subject=session.subject)

    def _problem(self, session: "_Session") -> str:
        """Returns what is missing, such as "no video *.avi"; "" if the session is complete."""
        unrated = [target for target in self.settings.targets if not session.traces[target]]
        if unrated:
            return f"no ratings of {', '.join(unrated)}"
        if not folders.matches(session.folder, self.video_pattern, {})[1]:
            return f"no video {self.video_pattern}"
        return ""


class _Session(NamedTuple):
    """The content of session.xml: the user, and each target's trace files with their raters."""

    folder: pathlib.Path
    subject: str
    traces: dict[str, dict[pathlib.Path, str]]


def _read_session(folder: pathlib.Path, name: str) -> _Session:
    path = folder / SESSIONS / name / "session.xml"
    with files.reading(path, "XML"):
        root = ElementTree.fromstring(path.read_bytes())
    subject = root.find('.//subject[@role="User"]')
    if subject is None or not subject.get("id"):
        raise errors.InputError(
            f'{path}: no <subject role="User" id="...">; expected the id of the user, by whom the '
            "sessions are split: copy the file again"
        )
    traces: dict[str, dict[pathlib.Path, str]] = {target: {} for target in _TARGETS.values()}
    for annotation in root.iterfind('.//annotation[@type="FeelTrace"]'):
        trace = _TRACE.fullmatch(pathlib.PurePath(annotation.get("filename", "")).name)
        if trace:
            # Every audio and video track may list the same traces; a dict keeps each once.
            traces[_TARGETS[trace[2].upper()]][path.parent / trace[0]] = trace[1].upper()
    return _Session(path.parent, str(subject.get("id")), traces)


def read_raters(
    traces: Mapping[str, Mapping[pathlib.Path, str]], max_gap: float
) -> dict[str, annotations.Ratings]:
    """Reads the individual raters' ratings of each target, resampled to the same times.

    The traces start and end at different times. All are resampled every 0.02 s from the first start
    to the last end. A rating is missing before and after its rater's trace, and in gaps longer than
    `max_gap`.

    Args:
      traces: the trace files of each target, and the rater of each file.
      max_gap: seconds.

    Raises:
      InputError: a trace is missing or malformed.
    """
    series = {target: [read_trace(p, target) for p in paths] for target, paths in traces.items()}
    all_times = [times for pairs in series.values() for times, _ in pairs]
    start, end = min(t[0] for t in all_times), max(t[-1] for t in all_times)
    grid = start + TRACE_STEP * np.arange(round((end - start) / TRACE_STEP) + 1)
    result = {}
    for target, pairs in series.items():
        columns = [annotations.resample(t, v, grid, max_gap) for t, v in pairs]
        names = list(traces[target].values())
        counts = [names[: k + 1].count(name) for k, name in enumerate(names)]
        # A rater's second and further traces get a number, so that all columns differ in name.
        raters = tuple(f"{name} {n}" if n > 1 else name for name, n in zip(names, counts))
        result[target] = annotations.Ratings(grid, np.stack(columns, axis=1), raters)
    return result


def read_trace(path: pathlib.Path, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads one rater's ratings of a target.

    Returns:
      Times, float64 [R] in seconds, strictly increasing, and ratings, float64 [R] in [-1, 1].

    Raises:
      InputError: the file is missing, or a line is not a time and a value, or a time is not later
        than the one before.
    """
    lines, table = feeltrace.read_numbers(path, 2)
    times = table[:, 0]
    annotations.check_times(path, lines, times)
    return times, feeltrace.to_unit_range(path, target, table[:, 1])
