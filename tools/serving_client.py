"""Predicts a video with a model on TensorFlow Serving; writes the same CSV as predict.

    tools/run tools/serving_client.py VIDEO --rest http://localhost:8501/v1/models/ast_net
    tools/run tools/serving_client.py VIDEO --grpc localhost:8500 --jpeg_quality 95

This client detects and aligns the faces, and keeps the LSTM's states; the server computes the CNN
and the LSTM. While the server is unavailable the client repeats its request, for --patience seconds
at most.
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
from ast_net.prediction import background, frame_table, pipeline, smoothing, streams
from ast_net.serving import remote, transports


def predict(
    path: pathlib.Path,
    output: pathlib.Path,
    server: remote.Server,
    detector: detection.FaceDetector,
    jpeg_quality: int | None = None,
    max_faces: int | None = 1,
) -> int:
    """Predicts a video and writes the CSV, whole or not at all; returns the number of frames.

    Raises:
      InputError: the video cannot be read; also as in `remote.Server`.
    """
    source, count = video.open_video(path), 0
    predictor = remote.RemotePredictor(server, jpeg_quality)
    # The frames of one time step, which fit into one request.
    frames = np.clip(round(predictor.time_step * source.frame_rate), 1, remote.MAX_FACES)
    settings = config.Prediction(max_faces=max_faces, batch_faces=int(frames))
    face_streams = streams.FaceStreams(predictor, settings)
    # A thread detects and aligns the next faces while the server computes the last ones.
    aligned = pipeline.align(pipeline.track(source.frames(), detector, settings))
    recording = background.run(aligned, settings.batch_faces, pipeline.kept_bytes)
    with (
        contextlib.closing(recording),
        frame_table.csv_writer(output, predictor.targets) as write,
        tqdm.tqdm(None, path.name, source.frame_count, unit="frame", leave=False) as progress,
    ):
        chunks = iter(lambda: list(itertools.islice(recording, settings.batch_faces)), [])
        predicted = (frame for chunk in chunks for frame in face_streams.predict(chunk))
        for frame in smoothing.smoothed(predicted, predictor.time_step):
            write(frame)
            progress.update()
            count += 1
    return count


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=pathlib.Path)
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
        default=pathlib.Path("predictions.csv"),
        help="CSV file to write; default: predictions.csv",
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
    if options.output.is_dir():
        parser.error(f"--output: {options.output} is a folder, expected a file that ends in .csv")
    if options.rest and (options.model_version is not None or options.model_name != "ast_net"):
        parser.error("--model_name and --model_version: with --rest, give them in the address")
    try:
        transport: transports.Rest | transports.Grpc
        if options.rest:
            transport = transports.Rest(options.rest)
        else:
            transport = transports.Grpc(options.grpc, options.model_name, options.model_version)
        count = predict(
            options.video,
            options.output,
            remote.Server(transport, options.timeout, options.patience),
            detection.FaceDetector(),
            options.jpeg_quality,
            None if options.max_faces == "all" else int(options.max_faces),
        )
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {error.filename or options.output}: {error.strerror}")
    print(f"{count} frames: see {options.output}")


if __name__ == "__main__":
    main()
