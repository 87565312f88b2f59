"""Predicts videos with a model on TensorFlow Serving; writes the same CSV as predict.

    tools/run tools/serving_client.py VIDEO --rest http://localhost:8501/v1/models/ast_net
    tools/run tools/serving_client.py VIDEO VIDEO --grpc localhost:8500 --jpeg_quality 95

This client detects and aligns the faces, and keeps the LSTM's states; the server computes the CNN
and the LSTM. Several videos are predicted at the same time, and share requests. While the server is
unavailable the client repeats its request, for --patience seconds at most.

With --landmarks the faces are those of a table that predict wrote, and none are detected:

    tools/run -m ast_net.predict talk.mp4 --landmarks --outputs=csv --output_dir=out
    tools/run tools/serving_client.py talk.mp4 --landmarks out/talk/predictions.csv --rest ...
"""

import argparse
import concurrent.futures
import contextlib
import csv
import functools
import itertools
import pathlib
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tqdm

from ast_net import config, errors, files
from ast_net.faces import detection, tracking, video, video_frame
from ast_net.prediction import background, frame_table, pipeline, smoothing, streams
from ast_net.serving import remote, transports

# Adds to a recording's frames the faces that they show.
Track = Callable[[Iterable[video_frame.Frame], config.Prediction], Iterator[pipeline.Tracked]]


def predict(
    path: pathlib.Path,
    output: pathlib.Path,
    server: remote.Server,
    track: Track,
    jpeg_quality: int | None = None,
    max_faces: int | None = 1,
    stop: threading.Event | None = None,
) -> int:
    """Predicts a video and writes the CSV, whole or not at all; returns the number of frames.

    Raises:
      InputError: the video cannot be read; also as in `remote.Server`.
      CancelledError: `stop` was set.
    """
    source, count = video.open_video(path), 0
    predictor = remote.RemotePredictor(server, jpeg_quality)
    # The frames of one time step, which fit into one request.
    frames = np.clip(round(predictor.time_step * source.frame_rate), 1, remote.MAX_FACES)
    settings = config.Prediction(max_faces=max_faces, batch_faces=int(frames))
    face_streams = streams.FaceStreams(predictor, settings)
    # A thread detects and aligns the next faces while the server computes the last ones.
    aligned = pipeline.align(track(source.frames(), settings))
    recording = background.run(aligned, settings.batch_faces, pipeline.kept_bytes)
    with (
        contextlib.closing(recording),
        frame_table.csv_writer(output, frame_table.Columns(predictor.targets)) as write,
        tqdm.tqdm(None, path.name, source.frame_count, unit="frame", leave=False) as progress,
    ):
        chunks = iter(lambda: list(itertools.islice(recording, settings.batch_faces)), [])
        predicted = (frame for chunk in chunks for frame in face_streams.predict(chunk))
        for frame in smoothing.smoothed(predicted, predictor.time_step):
            if stop is not None and stop.is_set():
                raise concurrent.futures.CancelledError
            write(frame)
            progress.update()
            count += 1
    return count


def predict_all(
    videos: Sequence[pathlib.Path],
    outputs: Sequence[pathlib.Path],
    at_once: int,
    predict_one: Callable[..., int],
) -> list[str]:
    """Predicts videos, several at the same time; one that fails leaves the others alone.

    Args:
      videos, outputs: the files to read and to write.
      at_once: how many videos are predicted at the same time.
      predict_one: called with a video, its output and `stop`; returns the number of frames.

    Returns:
      What failed, one line each.
    """
    problems, stop = [], threading.Event()
    with concurrent.futures.ThreadPoolExecutor(at_once) as executor:
        futures = {
            executor.submit(predict_one, path, output, stop=stop): output
            for path, output in zip(videos, outputs, strict=True)
        }
        try:
            for future in concurrent.futures.as_completed(futures):
                try:
                    tqdm.tqdm.write(f"{future.result()} frames: see {futures[future]}")
                except errors.InputError as error:
                    problems.append(f"error: {error}")
                except OSError as error:
                    name = error.filename or futures[future]
                    problems.append(f"error: {name}: {error.strerror}")
        finally:
            stop.set()
            executor.shutdown(cancel_futures=True)
    return problems


def detected(
    detector: detection.FaceDetector,
    recording: Iterable[video_frame.Frame],
    settings: config.Prediction,
) -> Iterator[pipeline.Tracked]:
    """Yields the frames with the faces that the detector finds and follows."""
    return pipeline.track(recording, detector, settings)


def tracked(
    table: pathlib.Path, recording: Iterable[video_frame.Frame], _: config.Prediction
) -> Iterator[pipeline.Tracked]:
    """Yields the frames with the faces that a table of `predict --landmarks` has.

    Raises:
      InputError: the table is damaged, has no landmarks, or is that of another video.
    """
    faces_by_frame = _read(table)
    expected = "expected the table that predict wrote for this video with `landmarks=true`"
    for frame in recording:
        number, faces = next(faces_by_frame, (None, []))
        if number != frame.index:
            found = "no more" if number is None else f"frame {number}"
            raise errors.InputError(f"{table}: found {found} for frame {frame.index}; {expected}")
        yield frame, faces
    for number, _faces in faces_by_frame:
        raise errors.InputError(f"{table}: found frame {number}, the video has none; {expected}")


def _read(table: pathlib.Path) -> Iterator[tuple[int, list[tracking.TrackedFace]]]:
    """Yields the number of each frame, and its faces."""
    names = frame_table.Columns((), landmarks=True).names
    box, landmarks = names[3:7], names[-10:]
    with (
        files.reading(table, "a table with landmarks", "let predict write it, `landmarks=true`"),
        table.open(encoding="utf-8") as file,
    ):
        for number, rows in itertools.groupby(csv.DictReader(file), lambda row: int(row["frame"])):
            faces = []
            for row in rows:
                if row["valid"] == "1":
                    numbers = np.array([row[name] for name in (*box, *landmarks)], np.float32)
                    if not np.isfinite(numbers).all():
                        raise ValueError(f"frame {number} has numbers that are not finite")
                    points = numbers[4:].reshape(5, 2)
                    face = detection.Face(numbers[:4], float(row["confidence"]), points)
                    faces.append(tracking.TrackedFace(int(row["face_id"]), face))
            yield number, faces


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=pathlib.Path, nargs="+", metavar="VIDEO")
    address = parser.add_mutually_exclusive_group(required=True)
    address.add_argument("--rest", help="http://HOST:PORT/v1/models/NAME[/versions/NUMBER]")
    address.add_argument("--grpc", help="HOST:PORT")
    parser.add_argument(
        "--model_name", default="ast_net", help="name on the server, with --grpc; default: ast_net"
    )
    parser.add_argument(
        "--model_version", type=int, help="version of the model, with --grpc; default: the newest"
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        help="CSV file to write, or with several videos the folder for NAME.csv of each; default: "
        "predictions.csv, or predictions",
    )
    parser.add_argument(
        "--landmarks", type=pathlib.Path, help="table of predict --landmarks, with the faces"
    )
    parser.add_argument(
        "--videos_at_once", type=int, default=4, help="videos predicted at a time; default: 4"
    )
    parser.add_argument(
        "--max_faces", default="1", help="maximum number of faces tracked, or all; default: 1"
    )
    parser.add_argument(
        "--jpeg_quality",
        type=int,
        help="send JPEG of this quality, 1 to 100; default: lossless PNG",
    )
    parser.add_argument(
        "--timeout", type=float, default=10.0, help="seconds until an attempt fails; default: 10"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=60.0,
        help="seconds until the client gives up; default: 60",
    )
    options = parser.parse_args(arguments)
    if options.max_faces != "all" and not options.max_faces.isdigit():
        parser.error(f"--max_faces: found {options.max_faces!r}, expected a number or all")
    if options.jpeg_quality is not None and not 1 <= options.jpeg_quality <= 100:
        parser.error(f"--jpeg_quality: found {options.jpeg_quality}, expected 1 to 100")
    if options.timeout <= 0:
        parser.error(f"--timeout: found {options.timeout:g}, expected more than 0 seconds")
    if options.videos_at_once < 1:
        parser.error(f"--videos_at_once: found {options.videos_at_once}, expected 1 or more")
    several = len(options.videos) > 1
    output = options.output or pathlib.Path("predictions" if several else "predictions.csv")
    if several and output.is_file():
        parser.error(f"--output: {output} is a file, expected a folder for several videos")
    if not several and output.is_dir():
        parser.error(f"--output: {output} is a folder, expected a file that ends in .csv")
    if options.landmarks and (several or options.max_faces != "1"):
        parser.error("--landmarks: a table has the faces of one video; leave out --max_faces")
    if options.rest and (options.model_version is not None or options.model_name != "ast_net"):
        parser.error("--model_name and --model_version: with --rest, give them in the address")
    try:
        transport: transports.Rest | transports.Grpc
        if options.rest:
            transport = transports.Rest(options.rest)
        else:
            transport = transports.Grpc(options.grpc, options.model_name, options.model_version)
        server = remote.Server(transport, options.timeout, options.patience)
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    if options.landmarks:
        track: Track = functools.partial(tracked, options.landmarks)
    else:
        detector = detection.FaceDetector()
        track = functools.partial(detected, detector)
    names = files.safe_names(path.stem for path in options.videos)
    outputs = [output / f"{name}.csv" for name in names] if several else [output]
    predict_one = functools.partial(
        predict,
        server=server,
        track=track,
        jpeg_quality=options.jpeg_quality,
        max_faces=None if options.max_faces == "all" else int(options.max_faces),
    )
    problems = predict_all(options.videos, outputs, options.videos_at_once, predict_one)
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
