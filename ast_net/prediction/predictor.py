"""Predicts videos, cameras and single frames from Python; `ast_net.Predictor` is of this module."""

import collections
import contextlib
import copy
import math
import os
import pathlib
import threading
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ast_net import cli, config, errors
from ast_net.faces import photographs, video, video_frame
from ast_net.prediction import (
    camera,
    frame_table,
    inputs,
    pipeline,
    predicted_frame,
    prediction_model,
)

if TYPE_CHECKING:
    import pandas

_GROUPS = (config.Prediction, config.Networks)


class Predictor:
    """Predicts videos, cameras and frames, with networks that are loaded once.

        predictor = ast_net.Predictor("runs/recola", max_faces=None)
        table = predictor.predict("talk.mp4")

    Threads: `predict` and `stream` may be called from several threads at a time. `step` belongs to
    one recording; `another` makes a predictor for the next one, with the same networks.
    """

    def __init__(
        self,
        workdir: str | os.PathLike | None = None,
        posteriors: bool = False,
        landmarks: bool = False,
        **settings: Any,
    ) -> None:
        """Loads the networks, which takes some seconds.

        Args:
          workdir: folder of the run whose model is used; None for the model that comes with the
            package.
          posteriors: whether to predict the probabilities of the expressions, too.
          landmarks: whether `predict` adds where eyes, nose and corners of the mouth are.
          **settings: settings of the command `predict` about faces and networks, such as max_faces
            (default: 1; None: all faces), hold_seconds, inference, model, runtime and precision.

        Raises:
          InputError: a setting is wrong, or a file of the networks is missing or damaged.
        """
        arguments = cli.from_keywords(_GROUPS, settings | {"workdir": workdir})
        self._settings = arguments.read(config.Prediction)
        self._landmarks = landmarks
        self._model = prediction_model.load(arguments.read(config.Networks), posteriors)
        self._pipelines: dict[config.Prediction, pipeline.Pipeline] = {}
        self.reset()

    def another(self) -> "Predictor":
        """Returns a predictor with the same networks and settings for another recording's `step`.

        predictors = [predictor.another() for camera in cameras]
        """
        result = copy.copy(self)
        result.reset()
        return result

    def predict(
        self, path: str | os.PathLike, pictures: str | None = None, **settings: Any
    ) -> "pandas.DataFrame":
        """Predicts a video or photographs, as the command `predict` does.

            table = predictor.predict("talk.mp4", max_faces=None)
            table.groupby("face_id")[["valence", "arousal"]].mean()

        Args:
          path: a video file, a photograph, or a folder or pattern of pictures.
          pictures: what the pictures of a folder are, sequence or separate; None: as their names
            say.
          **settings: settings of the command `predict` about faces, for this video only.

        Returns:
          A row for each frame and face, one without a face for a frame that shows none. The columns
          and numbers are those of predictions.csv: frame, timestamp_s, face_id, x, y, width,
          height, confidence, valid, each target, each target's mean over the time step
          (valence_smooth, ...), and, if requested, the posteriors (p_happy, ...) and landmarks
          (left_eye_x, ...). Photographs have a file and an error in place of frame and time, and no
          means.

        Raises:
          InputError: a setting is wrong, or these are not a video or pictures.
        """
        stages = self.stages(**settings)
        source = inputs.opened(pathlib.Path(path), config.Inputs(pictures=pictures).pictures)
        separate = isinstance(source, photographs.Photographs)
        columns = frame_table.Columns(stages.targets, stages.expressions, self._landmarks, separate)
        with contextlib.closing(stages.predict_source(source)) as predictions:
            return frame_table.data_frame(predictions, columns)

    def stream(
        self, source: int | str | os.PathLike | Iterable[tuple[float, np.ndarray]], **settings: Any
    ) -> Generator[predicted_frame.PredictedFrame, None, None]:
        """Yields the predictions of each frame as soon as it is there, from earlier frames only.

            for frame in predictor.stream(0):
                for face in frame.faces:
                    print(f"{frame.time:.2f} s: {face.valence:.2f} {face.arousal:.2f}")

        Args:
          source: a camera's number, a stream's address such as rtsp://..., a video file, or an
            iterable of (time in seconds, picture) with pictures uint8 RGB [H, W, 3]. OpenCV's
            pictures are BGR: give `picture[..., ::-1]`.
          **settings: settings of the command `predict` about faces, for this source only.

        Yields:
          The frames in order. Frames that a camera gives too fast have no picture and no new
          predictions. The camera is switched off when this generator is closed or forgotten.

        Raises:
          InputError: a setting is wrong, the camera gives no picture, a picture has another shape
            or type, or a time is not later than the one before.
        """
        stages = self.stages(**settings)
        return _predictions(stages, _frames_of(source, stages))

    def reset(self) -> None:
        """Forgets all frames of `step`: the next one is the first of a recording."""
        self._count = 0
        self._last_time = -math.inf
        self._waiting: collections.deque[video_frame.Frame] = collections.deque()
        # Predicts each frame before it takes the next one.
        self._steps = _predictions(self.stages(), _taken(self._waiting))

    def step(self, image: np.ndarray, time: float) -> predicted_frame.PredictedFrame:
        """Predicts the next frame of one's own loop.

            predictor = ast_net.Predictor()
            while True:
                success, picture = capture.read()
                frame = predictor.step(picture[..., ::-1], time.monotonic())

        Args:
          image: the picture, uint8 RGB [H, W, 3]; OpenCV's are BGR: give `image[..., ::-1]`.
          time: its time in seconds, later than that of the frame before.

        Raises:
          InputError: the picture has another shape or type, or the time is not later than the one
            before. The frame is then left out, and the next one can be predicted.
        """
        frame = _frame(self._count, time, image, self._last_time)
        self._waiting.append(frame)
        try:
            result = next(self._steps)
        except Exception:
            self.reset()
            raise
        self._count, self._last_time = self._count + 1, frame.timestamp
        return result

    def stages(self, **settings: Any) -> pipeline.Pipeline:
        """Returns the pipeline with these settings changed, for those who write its outputs.

        Raises:
          InputError: a setting is wrong.
        """
        arguments = cli.from_keywords((config.Prediction,), settings)
        changed = arguments.change(self._settings)
        if changed not in self._pipelines:
            self._pipelines[changed] = pipeline.Pipeline(self._model, changed)
        return self._pipelines[changed]


def _predictions(
    stages: pipeline.Pipeline, recording: Generator[video_frame.Frame, None, None]
) -> Generator[predicted_frame.PredictedFrame, None, None]:
    """Yields what `Predictor.stream` yields; closes the recording at the end."""
    predictions = stages.predict(recording, keep_images=True, live=True)
    with contextlib.closing(recording), contextlib.closing(predictions):
        for frame in predictions:
            yield predicted_frame.of(frame, stages.targets, stages.expressions)


def _taken(
    waiting: collections.deque[video_frame.Frame],
) -> Generator[video_frame.Frame, None, None]:
    while True:
        yield waiting.popleft()


def _frames_of(
    source: int | str | os.PathLike | Iterable[tuple[float, np.ndarray]],
    stages: pipeline.Pipeline,
) -> Generator[video_frame.Frame, None, None]:
    if isinstance(source, str | os.PathLike) and pathlib.Path(source).is_file():
        yield from stages.chosen_frames(video.open_video(os.fspath(source)))
    elif isinstance(source, int | str | os.PathLike):
        capture = camera.connect(str(source))
        recording = camera.newest_frames(capture, threading.Event())
        with contextlib.closing(recording):
            yield from recording
    else:
        last = -math.inf
        for index, (time, image) in enumerate(source):
            frame = _frame(index, time, image, last)
            yield frame
            last = frame.timestamp


def _frame(index: int, time: float, image: np.ndarray, last: float) -> video_frame.Frame:
    """Returns the frame after one at the time `last`.

    Raises:
      InputError: as of `Predictor.step`.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise errors.InputError(
            f"frame {index}: found a picture of {image.dtype} {[*image.shape]}, expected uint8 RGB "
            "[height, width, 3]"
        )
    if not last < time < math.inf:
        raise errors.InputError(
            f"frame {index}: found the time {time} s after {last} s, expected a later one; "
            "to begin another recording, call reset()"
        )
    return video_frame.Frame(index, float(time), np.ascontiguousarray(image))
