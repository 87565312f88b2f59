"""Frames in, predictions out: the paper's Figure 1 from left to right, its stages at work at the same time."""

import dataclasses
from collections.abc import Generator, Iterable, Iterator

import numpy as np
import scipy.special

from ast_net import config
from ast_net.faces import alignment, tracking, video_frame
from ast_net.prediction import background, frames, prediction_model, streams
from ast_net.temporal import streaming

# Frames that wait between two stages: at 4K each takes 25 MB.
_AHEAD = 8
# Pictures that are kept for the outputs, in one batch.
_KEPT_BYTES = 2**28


class Pipeline:
    """Predicts recordings, one after the other, with the same networks."""

    def __init__(
        self, model: prediction_model.PredictionModel, settings: config.Prediction
    ) -> None:
        self._model = model
        self._settings = settings
        spec = model.temporal.spec
        clip_frames = spec.clip_frames if settings.inference == "clip" else None
        self._predictor = streaming.StreamingPredictor(
            model.temporal.network, spec.stride, clip_frames
        )

    @property
    def targets(self) -> tuple[str, ...]:
        """What is predicted."""
        return self._model.temporal.spec.targets

    def predict(
        self,
        recording: Iterable[video_frame.Frame],
        frame_rate: float,
        keep_images: bool = False,
        live: bool = False,
    ) -> Generator[frames.FramePrediction, None, None]:
        """Yields a prediction for every frame, in order, holding a bounded number of them.

        Args:
          recording: its frames in order; one with an empty image is not looked at.
          frame_rate: of the recording, frames a second; the model's stride is brought to it.
          keep_images: whether predictions come with their images.
          live: each frame is predicted before the next is asked for. Otherwise decoding, tracking and
            the CNN work at the same time, the CNN on batches, and predictions come some frames later.
        """
        stride = self._model.temporal.spec.stride_at(frame_rate)
        face_streams = streams.FaceStreams(
            self._predictor.another(stride), frame_rate, self._settings
        )
        for chunk in self._described(recording, keep_images, live):
            yield from face_streams.predict(chunk)

    def _described(
        self, recording: Iterable[video_frame.Frame], keep_images: bool, live: bool
    ) -> Iterator[list[streams.FrameFeatures]]:
        if live:
            return self._describe(_batches(self._align(self._look(recording), keep_images), 1))
        looked_at = background.run(self._look(background.run(recording, _AHEAD)), _AHEAD)
        batches = _batches(self._align(looked_at, keep_images), self._settings.batch_faces)
        # The next batch is whole before the CNN has done with this one.
        return background.run(self._describe(background.run(batches, 1)), 1)

    def _look(
        self, recording: Iterable[video_frame.Frame]
    ) -> Iterator[tuple[video_frame.Frame, list[tracking.TrackedFace]]]:
        """Finds and follows the faces; a frame that was dropped has none."""
        tracker = tracking.FaceTracker(
            self._model.detector,
            config.Tracking(),
            self._settings.max_faces,
            self._settings.identity_seconds,
        )
        for frame in recording:
            dropped = frame.image.size == 0
            yield frame, [] if dropped else tracker.update(frame.image, frame.timestamp)

    def _align(
        self,
        looked_at: Iterable[tuple[video_frame.Frame, list[tracking.TrackedFace]]],
        keep_images: bool,
    ) -> Iterator["_Seen"]:
        """Cuts the faces out, and lets go of pictures that nobody needs."""
        for frame, faces in looked_at:
            crops = [
                alignment.align_face(frame.image, each.face.landmarks, config.Alignment())
                for each in faces
            ]
            dropped = frame.image.size == 0
            kept = frame.image if keep_images and not dropped else None
            yield _Seen(frame.index, frame.timestamp, kept, dropped, faces, crops)

    def _describe(self, batches: Iterable[list["_Seen"]]) -> Iterator[list[streams.FrameFeatures]]:
        """Brings the faces through the CNN."""
        for batch in batches:
            yield self._describe_batch(batch)

    def _describe_batch(self, batch: list["_Seen"]) -> list[streams.FrameFeatures]:
        crops = [crop for frame in batch for crop in frame.crops]
        extractor, head = self._model.extractor, self._model.head
        features = np.zeros((0, extractor.feature_size), np.float16)
        posteriors = None if head is None else np.zeros((0, head.output.shape[-1]), np.float32)
        if crops:
            features = extractor(np.stack(crops))
            if head is not None:
                logits = head(features.astype(np.float32)).numpy()
                posteriors = scipy.special.softmax(logits, axis=1)
        result, first = [], 0
        for frame in batch:
            rows = slice(first, first + len(frame.crops))
            of_faces = None if posteriors is None else posteriors[rows]
            result.append(
                streams.FrameFeatures(
                    frame.index,
                    frame.timestamp,
                    frame.image,
                    frame.dropped,
                    frame.faces,
                    features[rows],
                    of_faces,
                )
            )
            first += len(frame.crops)
        return result


@dataclasses.dataclass(frozen=True, eq=False)
class _Seen:
    """A frame, its faces, and these cut out, uint8 [224, 224, 3] each."""

    index: int
    timestamp: float
    image: np.ndarray | None
    dropped: bool
    faces: list[tracking.TrackedFace]
    crops: list[np.ndarray]


def _batches(seen: Iterable[_Seen], size: int) -> Iterator[list[_Seen]]:
    """As many frames as have `size` faces; no more than `size` frames, nor than memory is meant for."""
    batch: list[_Seen] = []
    for frame in seen:
        batch.append(frame)
        faces = sum(len(each.faces) for each in batch)
        kept = sum(each.image.nbytes for each in batch if each.image is not None)
        if max(faces, len(batch)) >= size or kept >= _KEPT_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch
