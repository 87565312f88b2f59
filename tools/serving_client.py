"""Predicts a video with a model on TensorFlow Serving; writes the CSV that predict writes.

    tools/run tools/serving_client.py VIDEO --rest http://localhost:8501/v1/models/ast_net
    tools/run tools/serving_client.py VIDEO --grpc localhost:8500 --jpeg_quality 95

Faces are found and aligned here; the CNN and the LSTM are on the server, and the LSTM's state is
here. While the server is away the same request is sent again, until --patience ends.
"""

import argparse
import contextlib
import itertools
import pathlib
import sys

import numpy as np
import tqdm

from ast_net import config, errors
from ast_net.faces import detection, video
from ast_net.prediction import background, frame_table, pipeline, streams
from ast_net.serving import remote, transports


def predict(
    path: pathlib.Path,
    output: pathlib.Path,
    server: remote.Server,
    detector: detection.FaceDetector,
    jpeg_quality: int | None = None,
    max_faces: int | None = 1,
) -> int:
    """Predicts a video and writes the CSV, whole or not at all; returns how many frames there were.

    Raises:
      InputError: the video cannot be read, or as of `remote.Server`.
    """
    source, count = video.open_video(path), 0
    predictor = remote.RemotePredictor(server, jpeg_quality)
    # As many frames as one request takes.
    frames = np.clip(round(predictor.time_step * source.frame_rate), 1, remote.MAX_FRAMES)
    settings = config.Prediction(max_faces=max_faces, batch_faces=int(frames))
    face_streams = streams.FaceStreams(predictor, settings)
    # The next faces are found while the server has the last ones; it takes them without a CNN here.
    aligned = pipeline.align(pipeline.track(source.frames(), detector, settings))
    recording = background.run(aligned, settings.batch_faces)
    with (
        contextlib.closing(recording),
        frame_table.csv_writer(output, predictor.targets) as write,
        tqdm.tqdm(None, path.name, source.frame_count, unit="frame", leave=False) as progress,
    ):
        while chunk := list(itertools.islice(recording, settings.batch_faces)):
            for frame in face_streams.predict(chunk):
                write(frame)
            progress.update(len(chunk))
            count += len(chunk)
    return count


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=pathlib.Path)
    address = parser.add_mutually_exclusive_group(required=True)
    address.add_argument("--rest", help="http://HOST:PORT/v1/models/NAME[/versions/NUMBER]")
    address.add_argument("--grpc", help="HOST:PORT")
    parser.add_argument("--model_name", default="ast_net", help="with --grpc")
    parser.add_argument("--model_version", type=int, help="with --grpc; default: the newest")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("predictions.csv"))
    parser.add_argument("--max_faces", default="1", help="how many are followed at most, or all")
    parser.add_argument(
        "--jpeg_quality", type=int, help="1 to 100, to send JPEG; default: PNG, without loss"
    )
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds, of one attempt")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds, of all attempts")
    given = parser.parse_args(arguments)
    if given.max_faces != "all" and not given.max_faces.isdigit():
        parser.error(f"--max_faces: found {given.max_faces!r}, expected a number or all")
    if given.jpeg_quality is not None and not 1 <= given.jpeg_quality <= 100:
        parser.error(f"--jpeg_quality: found {given.jpeg_quality}, expected 1 to 100")
    if given.timeout <= 0:
        parser.error(f"--timeout: found {given.timeout:g}, expected seconds, more than 0")
    if given.output.is_dir():
        parser.error(f"--output: {given.output} is a folder, expected a file that ends in .csv")
    if given.rest and (given.model_version is not None or given.model_name != "ast_net"):
        parser.error("--model_name and --model_version: with --rest they are parts of the address")
    try:
        transport: transports.Rest | transports.Grpc
        if given.rest:
            transport = transports.Rest(given.rest)
        else:
            transport = transports.Grpc(given.grpc, given.model_name, given.model_version)
        count = predict(
            given.video,
            given.output,
            remote.Server(transport, given.timeout, given.patience),
            detection.FaceDetector(),
            given.jpeg_quality,
            None if given.max_faces == "all" else int(given.max_faces),
        )
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or given.output}: {error.strerror}")
    print(f"{count} frames: see {given.output}")


if __name__ == "__main__":
    main()
