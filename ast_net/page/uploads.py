"""Predicts a recording that the page uploads, and deletes it when the answer ends."""

import asyncio
import base64
import contextlib
import itertools
import json
import pathlib
import tempfile
from collections.abc import AsyncGenerator, Generator
from typing import Any

import anyio
from absl import logging
from starlette import concurrency, requests, responses
from starlette.types import Receive, Scope, Send

from ast_net import errors
from ast_net.faces import video
from ast_net.page import answers
from ast_net.prediction import frame_table, pipeline, predicted_frame, timeline
from ast_net.reports import figures

# Frames in one line of the answer.
_LINE_FRAMES = 25


class Uploads:
    """Answers uploads, one at a time, with the predictions of all frames.

    The request's body is the video. The answer is lines of JSON: {"total": number of frames}, then
    {"frames": [...]} (`answers.of_frame`), at the end {"table": CSV, "figure": PNG in base64}; or
    {"error": reason} instead of the rest. Nothing is kept: the video, table and figure are deleted
    when the answer ends, fails, or is cancelled.
    """

    def __init__(self, stages: pipeline.Pipeline, folder: pathlib.Path, max_bytes: int) -> None:
        """Args:
        stages: predicts the videos.
        folder: for videos while they are predicted.
        max_bytes: size of the largest video.
        """
        self._stages, self._folder, self._max_bytes = stages, folder, max_bytes
        # One prediction uses all cores.
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one upload; see the ASGI specification."""
        request = requests.Request(scope, receive)
        with tempfile.TemporaryDirectory(dir=self._folder) as own_folder:
            path = pathlib.Path(own_folder) / "video"
            try:
                whole = await self._save(request, path)
            except requests.ClientDisconnect:
                return
            if not whole:
                size = f"found a video of more than {self._max_bytes:,} bytes"
                await responses.PlainTextResponse(size, 413)(scope, receive, send)
                return
            lines = self._lines(path, request.query_params.get("name", "recording"))
            async with contextlib.aclosing(lines):
                response = responses.StreamingResponse(lines, media_type="application/x-ndjson")
                await response(scope, receive, send)

    async def _save(self, request: requests.Request, path: pathlib.Path) -> bool:
        """Writes the body to a file; returns False, having written a part, if it is too large."""
        stated, size = request.headers.get("content-length", ""), 0
        if stated.isdecimal() and int(stated) > self._max_bytes:
            return False
        with path.open("wb") as file:
            async for part in request.stream():
                size += len(part)
                if size > self._max_bytes:
                    return False
                await concurrency.run_in_threadpool(file.write, part)
        return True

    async def _lines(self, path: pathlib.Path, name: str) -> AsyncGenerator[str, None]:
        """Yields the answer's lines when it is this upload's turn."""
        if self._turn.locked():
            yield _line({"waiting": True})
        async with self._turn:
            predictions = _predictions(self._stages, path, name)
            try:
                while answer := await concurrency.run_in_threadpool(next, predictions, None):
                    yield _line(answer)
            except errors.InputError as error:
                yield _line({"error": str(error).replace(str(path), name)})
            except Exception:  # The page gets an answer, whatever is wrong.
                logging.exception("a recording could not be predicted")
                yield _line({"error": f"{name} could not be predicted; the terminal says why"})
            finally:
                # Also when the page has gone: the pipeline's threads still read the video.
                with anyio.CancelScope(shield=True):
                    await concurrency.run_in_threadpool(predictions.close)


def _line(answer: dict[str, Any]) -> str:
    return json.dumps(answer, allow_nan=False, separators=(",", ":")) + "\n"


def _predictions(
    stages: pipeline.Pipeline, path: pathlib.Path, name: str
) -> Generator[dict[str, Any], None, None]:
    """Yields the answer; writes the table and the figure beside the video."""
    source, names = video.Video(path), (stages.targets, stages.expressions)
    yield {"total": stages.frame_count(source)}
    table, figure = path.with_name("table.csv"), path.with_name("figure.png")
    series = timeline.Series(stages.time_step, *names)
    with (
        contextlib.closing(stages.predict_source(source)) as predictions,
        frame_table.csv_writer(table, frame_table.Columns(*names)) as write_row,
    ):
        while group := list(itertools.islice(predictions, _LINE_FRAMES)):
            for frame in group:
                write_row(frame)
                series.write(frame)
            yield {"frames": [answers.of_frame(predicted_frame.of(f, *names)) for f in group]}
    figures.save(series.draw(name), figure)
    yield {
        "table": table.read_text(encoding="utf-8"),
        "figure": base64.b64encode(figure.read_bytes()).decode(),
    }
