"""Predicts frames by all stages of the paper's Figure 1, which work in parallel."""

import math
from collections.abc import Generator, Iterable, Iterator

import keras
import numpy as np

from ast_net import config, devices, errors, fields
from ast_net.faces import alignment, detection, photographs, tracking, video, video_frame
from ast_net.prediction import background, frames, inputs, prediction_model, smoothing, streams
from ast_net.temporal import still_faces, streaming

# Length of the queue between two stages, in frames.
_AHEAD = 8
# Frames may be a bit further apart than the model's time step: rates such as 24.98 are common.
_SLOWEST = 1.02
# Largest memory of the images that one batch keeps for the outputs.
_KEPT_BYTES = 2**28


class Pipeline:
    """Predicts videos or camera streams, one after the other, with the same networks.

    Attributes:
      targets: names of the predicted targets.
      expressions: names of the posteriors' expressions; empty without an expression head.
      time_step: the model's time step, in seconds.
      precision: the CNN's, such as float32.
      provenance: the settings and the digest of the networks that predictions depend on, as JSON
        data.
    """

    def __init__(
        self, model: prediction_model.PredictionModel, settings: config.Prediction
    ) -> None:
        self._model = model
        self._settings = settings
        spec = model.temporal.spec
        self.targets, self.time_step = spec.targets, spec.time_step
        self.precision = model.extractor.precision
        self.expressions = model.head.expressions if model.head is not None else ()
        self.provenance = fields.values(settings) | {"networks": model.digest}
        clip_frames = spec.clip_frames if settings.inference == "clip" else None
        self._predictor = streaming.StreamingPredictor(
            model.temporal.network, spec.time_step, clip_frames
        )

    def chosen_frames(self, source: video.VideoSource) -> Iterator[video_frame.Frame]:
        """Returns the frames of a video that the settings say: every Nth, with its own number.

        Raises:
          InputError: they are further apart than the model's time step.
        """
        every = self._settings.every
        apart = every / source.frame_rate if every > 1 else 0.0
        if apart > self.time_step * _SLOWEST:
            most = int(self.time_step * _SLOWEST * source.frame_rate)
            raise errors.InputError(
                f"`every={every}`: found {source.frame_rate:g} frames/s in {source.path}, so that "
                f"these frames are {apart:.2f} s apart, expected at most the model's time step of "
                f"{self.time_step:g} s; give `every={max(most, 1)}` or less"
            )
        return (frame for frame in source.frames() if frame.index % every == 0)

    def frame_count(self, source: inputs.FrameSource) -> int | None:
        """Returns about how many frames `predict_source` yields; None if a video does not say.

        Raises:
          InputError: this is not a video.
        """
        count = source.frame_count
        if count is None or isinstance(source, photographs.Photographs):
            return count
        return math.ceil(count / self._settings.every)

    def predict_source(
        self, source: inputs.FrameSource, keep_images: bool = False
    ) -> Generator[frames.FramePrediction, None, None]:
        """Yields a prediction for every photograph, or for every chosen frame of a video.

        Args:
          source: a video or photographs.
          keep_images: whether the predictions keep the pictures.

        Raises:
          InputError: as of `chosen_frames`, at once; later, if the source cannot be read.
        """
        if isinstance(source, photographs.Photographs):
            return self._predict_photographs(source, keep_images)
        return self.predict(self.chosen_frames(source), keep_images)

    def predict(
        self,
        recording: Iterable[video_frame.Frame],
        keep_images: bool = False,
        live: bool = False,
    ) -> Generator[frames.FramePrediction, None, None]:
        """Yields a prediction for every frame, in order; a bounded number of frames is in memory.

        Args:
          recording: frames in order; a frame with an empty image was dropped, and has no face.
          keep_images: whether the predictions keep the frames' images.
          live: if true, each frame is predicted before the next one is read, and smoothed with
            earlier ones only. Otherwise decoding, tracking and the CNN work in parallel, the CNN on
            batches, and predictions come some frames later.
        """
        face_streams = streams.FaceStreams(self._predictor, self._settings)
        ahead, batch_ahead, size = (0, 0, 1) if live else (_AHEAD, 1, self._settings.batch_faces)
        decoded = _queue_of_frames(recording, ahead)
        tracked = _queue_of_tracked(track(decoded, self._model.detector, self._settings), ahead)
        # The next batch is complete before the CNN has finished with this one.
        batches = _queue_of_batches(_batches(align(tracked, keep_images), size), batch_ahead)
        extracted = _queue_of_batches(self._extract(batches), batch_ahead)
        predicted = (frame for batch in extracted for frame in face_streams.predict(batch))
        yield from smoothing.smoothed(predicted, self.time_step, live)

    def _predict_photographs(
        self, source: photographs.Photographs, keep_images: bool
    ) -> Generator[frames.FramePrediction, None, None]:
        """Yields a prediction for each photograph, in order, as `still_faces` defines it.

        Each photograph is a recording of its own: its faces are numbered from 0, and nothing
        depends on the others.
        """
        decoded = _queue_of_frames(source.frames(), _AHEAD)
        detected = (
            faces
            for frame in decoded
            for faces in track([frame], self._model.detector, self._settings)
        )
        tracked = _queue_of_tracked(detected, _AHEAD)
        batches = _batches(align(tracked, keep_images), self._settings.batch_faces)
        for batch in self._extract(_queue_of_batches(batches, 1)):
            faces = [face for frame in batch for face in frame.faces]
            if faces:
                features = np.stack([face.features for face in faces])
                values = still_faces.predict(self._model.temporal, features)
                for face, row in zip(faces, values, strict=True):
                    face.values, face.smooth, face.features = row, row, frames.EMPTY
            for frame in batch:
                frame.file = source.files[frame.index].name
                frame.error = source.problems.get(frame.index, "")
                yield frame

    def _extract(
        self, batches: Iterable[list[frames.FramePrediction]]
    ) -> Iterator[list[frames.FramePrediction]]:
        """Replaces the aligned faces by their fc6 features, and adds the posteriors."""
        extractor, head = self._model.extractor, self._model.head
        for batch in batches:
            faces = [face for frame in batch for face in frame.faces]
            if faces:
                with devices.memory_reported("give a smaller `batch_faces`"):
                    features = extractor(np.stack([face.features for face in faces]))
                for face, row in zip(faces, features, strict=True):
                    face.features = row
                if head is not None:
                    probabilities = keras.ops.softmax(head(features.astype(np.float32))).numpy()
                    for face, row in zip(faces, probabilities, strict=True):
                        face.posteriors = row
            yield batch


Tracked = tuple[video_frame.Frame, list[tracking.TrackedFace]]


def _queue_of_frames(
    recording: Iterable[video_frame.Frame], ahead: int
) -> Iterator[video_frame.Frame]:
    return background.run(recording, ahead, lambda frame: frame.image.nbytes)


def _queue_of_tracked(tracked: Iterable[Tracked], ahead: int) -> Iterator[Tracked]:
    return background.run(tracked, ahead, lambda pair: pair[0].image.nbytes)


def _queue_of_batches(
    batches: Iterable[list[frames.FramePrediction]], ahead: int
) -> Iterator[list[frames.FramePrediction]]:
    return background.run(batches, ahead, lambda batch: sum(map(kept_bytes, batch)))


def kept_bytes(frame: frames.FramePrediction) -> int:
    """Returns the memory of a frame's image and of its faces, whatever stage these are at."""
    image = 0 if frame.image is None else frame.image.nbytes
    return image + sum(face.features.nbytes for face in frame.faces)


def track(
    recording: Iterable[video_frame.Frame],
    detector: detection.FaceDetector,
    settings: config.Prediction,
) -> Iterator[Tracked]:
    """Detects and tracks the faces; a frame that was dropped or is damaged has none."""
    tracker = tracking.FaceTracker(
        detector, config.Tracking(), settings.max_faces, settings.identity_seconds
    )
    for frame in recording:
        yield frame, tracker.update(frame.image, frame.timestamp) if frame.usable else []


def align(
    tracked: Iterable[Tracked],
    keep_images: bool = False,
) -> Iterator[frames.FramePrediction]:
    """Aligns the faces and puts them in `features`; drops images that no output needs."""
    for frame, tracked_faces in tracked:
        faces = []
        for face_id, face in tracked_faces:
            crop = alignment.align_face(frame.image, face.landmarks, config.Alignment())
            faces.append(frames.FacePrediction(face_id, face, features=crop))
        dropped = frame.image.size == 0 and not frame.damaged
        image = frame.image if keep_images and frame.image.size else None
        yield frames.FramePrediction(frame.index, frame.timestamp, faces, image, dropped)


def _batches(
    recording: Iterable[frames.FramePrediction], size: int
) -> Iterator[list[frames.FramePrediction]]:
    """Yields batches that end at `size` faces, `size` frames or _KEPT_BYTES of images."""
    batch: list[frames.FramePrediction] = []
    for frame in recording:
        batch.append(frame)
        faces = sum(len(member.faces) for member in batch)
        kept = sum(map(kept_bytes, batch))
        if max(faces, len(batch)) >= size or kept >= _KEPT_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch
