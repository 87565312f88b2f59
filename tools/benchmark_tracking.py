"""Compares face tracking with MTCNN on every frame; prints a Markdown table.

    tools/run tools/benchmark_tracking.py VIDEO...

Eye error and jitter are in pixels of the aligned crop, where the eyes are 73 pixels apart. The
reference is the unchanged mtcnn package. Jitter is the standard deviation of an eye's position,
computed from its second difference in time, so that smooth motion does not count. Milliseconds are
processor time of all threads together. The benchmark takes about 0.3 s per frame on two cores.

Required: an eye error of at most 2 pixels at the median and 5 at the 95th percentile; at most 2 %
of the frames differ in whether they show a face.
"""

import argparse
import time
from collections.abc import Callable

import mtcnn
import numpy as np
import tqdm

from ast_net import config
from ast_net.faces import detection, tracking, video


class TimedDetector(detection.FaceDetector):
    """A detector that notes the processor time of each detection, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def detect(self, image, min_face_fraction=0.1):
        start = time.process_time()
        faces = super().detect(image, min_face_fraction)
        self.seconds.append(time.process_time() - start)
        return faces


def package_landmarks(package: mtcnn.MTCNN, image: np.ndarray) -> np.ndarray | None:
    """Returns the unrounded landmarks [5, 2] of the largest face that the package finds."""
    rows = package.detect_faces([image], output_type="numpy")
    if not len(rows):
        return None
    row = rows[np.argmax(rows[:, 3] * rows[:, 4])]
    return np.stack([row[6:11], row[11:16]], axis=1)


def run(images: list[np.ndarray], landmarks_of: Callable) -> tuple[np.ndarray, list[float]]:
    """Returns landmarks [T, 5, 2], NaN where there is no face, and the seconds of each frame."""
    landmarks, seconds = np.full((len(images), 5, 2), np.nan), []
    for k, image in enumerate(tqdm.tqdm(images, leave=False)):
        start = time.process_time()
        row = landmarks_of(image)
        seconds.append(time.process_time() - start)
        if row is not None:
            landmarks[k] = row
    return landmarks, seconds


def crop_scale(landmarks: np.ndarray) -> np.ndarray:
    """Returns how many pixels of the crop one pixel of the frame is, [T, 1, 1]."""
    alignment = config.Alignment()
    target = alignment.right_eye[0] - alignment.left_eye[0]
    return target / np.linalg.norm(landmarks[:, 1] - landmarks[:, 0], axis=-1)[:, None, None]


def jitter(landmarks: np.ndarray) -> float:
    """Returns the standard deviation of the eyes' positions, in pixels of the crop."""
    eyes = landmarks[:, :2]
    # x_t - (x_{t-1} + x_{t+1}) / 2 of independent noise has 1 + 1/4 + 1/4 = 1.5 times its variance.
    second = (eyes[1:-1] - (eyes[:-2] + eyes[2:]) / 2) * crop_scale(landmarks[1:-1])
    return float(np.sqrt(np.nanmean(second**2) / 1.5)) if np.isfinite(second).any() else np.nan


def changes(landmarks: np.ndarray) -> str:
    """Lists whether the first frame shows a face, and the frames at which that changes."""
    valid = np.isfinite(landmarks[:, 0, 0])
    first = "face" if valid[0] else "none"
    return ", ".join([first, *(str(k + 1) for k in np.flatnonzero(np.diff(valid)))])


def measure(path: str, package: mtcnn.MTCNN, detector: TimedDetector) -> dict[str, str]:
    """Measures a video; returns the cells of its row by their columns."""
    frames = list(video.open_video(path).frames())
    images = [frame.image for frame in frames]
    timestamps = iter(frame.timestamp for frame in frames)
    tracker = tracking.FaceTracker(detector, config.Tracking())
    # The first call of a network takes longer, so it is not timed.
    detector.detect(images[0])
    detector.refine(images[0], np.array([[0.0, 0.0, 20.0, 20.0]]))
    detector.seconds.clear()

    def track(image):
        detections = len(detector.seconds)
        timestamp = next(timestamps)
        start = time.process_time()
        faces = tracker.update(image, timestamp)
        if len(detector.seconds) == detections and faces:
            tracking_seconds.append(time.process_time() - start)
        return faces[0].face.landmarks if faces else None

    tracking_seconds: list[float] = []
    tracked, _ = run(images, track)
    detection_seconds = np.median(detector.seconds)
    reference, package_seconds = run(images, lambda image: package_landmarks(package, image))
    error = np.linalg.norm((tracked - reference)[:, :2] * crop_scale(reference), axis=-1)
    error = error[np.isfinite(error)]
    differ = np.isfinite(tracked[:, 0, 0]) != np.isfinite(reference[:, 0, 0])
    median, high = np.percentile(error, [50, 95]) if error.size else (np.nan, np.nan)
    tracked_seconds = np.median(tracking_seconds) if tracking_seconds else np.nan
    return {
        "video": path.rsplit("/", 1)[-1],
        "size": f"{images[0].shape[1]}x{images[0].shape[0]}",
        "frames": str(len(images)),
        "face changes": changes(tracked),
        "package": changes(reference),
        "validity differs": f"{100 * differ.mean():.1f} %",
        "eye error, median": f"{median:.2f}",
        "95 %": f"{high:.2f}",
        "jitter": f"{jitter(tracked):.2f}",
        "package ": f"{jitter(reference):.2f}",
        "ms a tracked frame": f"{1000 * tracked_seconds:.1f}",
        "a detection": f"{1000 * detection_seconds:.0f}",
        "the package": f"{1000 * np.median(package_seconds):.0f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", metavar="VIDEO")
    package, detector = mtcnn.MTCNN(), TimedDetector()
    for k, path in enumerate(parser.parse_args().videos):
        row = measure(path, package, detector)
        if k == 0:
            print("| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
        print("| " + " | ".join(row.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
