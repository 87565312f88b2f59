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
# A trace of the user: its rater, and what is rated.
_TRACE = re.compile(r"([AR][0-9]+)[RS][0-9]+TUC(?:Ob|Po|Pr|Sp)2?D([AEPV])\.txt", re.IGNORECASE)
_TARGETS = {"V": "valence", "A": "arousal", "E": "expectancy", "P": "power"}


class Semaine(reader.Reader):
    """SEMAINE's sessions.

    SEMAINE is handed out at https://semaine-db.eu to those who sign its agreement. Give the folder
    that holds
      Sessions/1/session.xml, which names the subjects and the traces
      Sessions/1/R1S1TUCPoDV.txt and so on, FeelTrace of the user
      Sessions/1/2008.12.05.16.03.15_User_AV_lowQ_Poppy.avi, the user's video
    and the same for the other sessions. The video is looked for as ?*User?*.avi in the session's
    folder; where several fit, say which with `video_pattern`, such as *User*lowQ*.avi. Sessions
    that lack such a video, or a trace of one of `targets`, are left out, and that is reported.
    There is no one public split. By default, sessions go to train, dev and test 60 : 20 : 20, all
    those of a user into one of them. Split otherwise with `train_recordings=1,2,5` and so on (names
    of folders).
    """

    FRAME_RATE = 49.979
    RATING_STEP = TRACE_STEP

    TARGETS = config.ALL_TARGETS
    VIDEO_PATTERN = "?*User?*.avi"

    def partitions(self, folder: pathlib.Path) -> reader.Partitions:
        """Returns the sessions that have all that is needed, split by user; reports the others."""
        names = [p.parent.name for p in (folder / SESSIONS).glob("*/session.xml")]
        names.sort(key=lambda name: (len(name), name))
        if not names:
            raise errors.InputError(
                f"{folder / SESSIONS}: no session.xml in any folder of it; give the folder that "
                f"holds {SESSIONS} with `manual_dir`"
            )
        sessions = {name: _read_session(folder, name) for name in names}
        by_reason: dict[str, list[str]] = {}
        for name, session in sessions.items():
            by_reason.setdefault(self._lacking(session), []).append(name)
        usable = by_reason.pop("", [])
        for reason, those in by_reason.items():
            logging.warning(
                f"{folder / SESSIONS}: {len(those)} of {len(names)} sessions are left out, "
                f"{reason}: {', '.join(those)}"
            )
        if not usable:
            raise errors.InputError(
                f"{folder / SESSIONS}: none of {len(names)} sessions can be used: "
                + "; ".join(by_reason)
            )
        return folders.by_subject({name: sessions[name].subject for name in usable})

    def source(self, folder: pathlib.Path, name: str) -> reader.Source:
        session = _read_session(folder, name)
        lacking = self._lacking(session)
        if lacking:
            raise errors.InputError(f"{session.folder}: {lacking}; name other recordings")
        traces = {t: dict(sorted(session.traces[t].items())) for t in self.settings.targets}
        read = functools.partial(read_raters, traces, self.settings.max_rating_gap)
        video = folders.find_video(session.folder, self.video_pattern, {})
        ratings = [path for paths in traces.values() for path in paths]
        return reader.Source(name, video, ratings, read, read, subject=session.subject)

    def _lacking(self, session: "_Session") -> str:
        """What a session lacks, "" if nothing."""
        unrated = [target for target in self.settings.targets if not session.traces[target]]
        if unrated:
            return f"without ratings of {', '.join(unrated)}"
        if not folders.matches(session.folder, self.video_pattern, {})[1]:
            return f"without a video {self.video_pattern}"
        return ""


class _Session(NamedTuple):
    """What session.xml says: the user, and of each target the traces and who left them."""

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
            f'{path}: no <subject role="User" id="...">; expected the user, to split sessions by'
        )
    traces: dict[str, dict[pathlib.Path, str]] = {target: {} for target in _TARGETS.values()}
    for annotation in root.iterfind('.//annotation[@type="FeelTrace"]'):
        trace = _TRACE.fullmatch(pathlib.PurePath(annotation.get("filename", "")).name)
        if trace:
            # The same trace may be named with each track of sound and pictures.
            traces[_TARGETS[trace[2].upper()]][path.parent / trace[0]] = trace[1].upper()
    return _Session(path.parent, str(subject.get("id")), traces)


def read_raters(
    traces: Mapping[str, Mapping[pathlib.Path, str]], max_gap: float
) -> dict[str, annotations.Ratings]:
    """Reads what the single raters said of each target, all at the same times.

    Traces start and end at times of their own. All are brought to times from the first start to the
    last end, every 0.02 s; where a rater has no trace, or none for longer than `max_gap` seconds,
    that rating is missing.

    Args:
      traces: of each target the files, and who left each one.
      max_gap: seconds.

    Raises:
      InputError: a trace is missing or not what it should be.
    """
    read = {target: [read_trace(p, target) for p in paths] for target, paths in traces.items()}
    every = [times for rated in read.values() for times, _ in rated]
    start, end = min(t[0] for t in every), max(t[-1] for t in every)
    grid = start + TRACE_STEP * np.arange(round((end - start) / TRACE_STEP) + 1)
    result = {}
    for target, rated in read.items():
        columns = [annotations.resample(t, v, grid, max_gap) for t, v in rated]
        names = list(traces[target].values())
        counts = [names[: k + 1].count(name) for k, name in enumerate(names)]
        # Who left several traces is numbered from the second on.
        raters = tuple(f"{name} {n}" if n > 1 else name for name, n in zip(names, counts))
        result[target] = annotations.Ratings(grid, np.stack(columns, axis=1), raters)
    return result


def read_trace(path: pathlib.Path, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Times float64 [R] in seconds, strictly increasing, and one rater's values [R] from -1 to 1.

    Raises:
      InputError: the file is missing, or a line of it is not a time and a value, or its time does
        not come after the one before.
    """
    lines, table = feeltrace.read_numbers(path, 2)
    times = table[:, 0]
    annotations.check_times(path, lines, times)
    return times, feeltrace.to_unit_range(path, target, table[:, 1])
