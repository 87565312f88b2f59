"""Measures how a served model answers many clients at once; prints Markdown.

    tools/run tools/benchmark_serving.py MODELS/ast_net --server="python tests/serving/server.py" \\
        [--seconds=60] [--kills=2]

Starts the server with the flags of tensorflow_model_server, which is also the default of --server.
Each client sends one frame after the other with its LSTM states, the next as soon as the last one
is answered. With --kills=2 the server is killed twice, at even intervals, and restarted on the same
ports; the clients send their unanswered requests again. At the end one more client sends the same
frames alone; the predictions of all clients must equal those of this one.
"""

import argparse
import pathlib
import resource
import shlex
import socket
import statistics
import subprocess
import sys
import threading
import time

import cv2
import numpy as np

from ast_net import errors
from ast_net.serving import remote, transports

PORTRAIT = pathlib.Path(__file__).parents[1] / "ast_net/demo/portrait.jpg"
# Time that the server may take to start.
START_SECONDS = 120.0
# Frame rate of the simulated videos, in frames/s.
FRAME_RATE = 25
# Largest difference between predictions of the same frame.
TOLERANCE = 1e-5


class Client:
    """Sends frames, one per request, and keeps the answers."""

    def __init__(self, server: remote.Server, faces: np.ndarray, jpeg_quality: int | None) -> None:
        self._predictor = remote.RemotePredictor(server, jpeg_quality)
        self._faces = faces
        self.frames = 0
        self.latencies: list[float] = []
        self.errors: list[str] = []
        self.answers: dict[int, np.ndarray] = {}

    def run(self, end: float) -> None:
        while time.monotonic() < end:
            self.send()

    def send(self) -> None:
        """Sends the next frame until it is answered, or until the client gives up."""
        number, face = self.frames, self._faces[self.frames % len(self._faces)]
        self.frames += 1
        start, times = time.monotonic(), np.array([number / FRAME_RATE])
        try:
            self.answers[number] = self._predictor.predict(face[np.newaxis], times)
        except errors.InputError as error:
            self.errors.append(str(error))
            self._predictor.skip(times)
        else:
            self.latencies.append(time.monotonic() - start)

    def different(self, expected: "Client") -> int:
        """Counts its frames without an answer, or with another answer than the other client's."""
        return sum(
            number not in self.answers
            or self.answers[number].shape != expected.answers[number].shape
            or not np.allclose(
                self.answers[number], expected.answers[number], rtol=0, atol=TOLERANCE
            )
            for number in range(self.frames)
        )


class Process:
    """The server's process, which can be killed and restarted on the same ports."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._ports, self._protocol = (free_port(), free_port()), arguments.protocol
        self._command = [
            *shlex.split(arguments.server),
            "--model_name=ast_net",
            f"--model_base_path={arguments.models.resolve()}",
            f"--port={self._ports[0]}",
            f"--rest_api_port={self._ports[1]}",
        ]
        self.start()

    def start(self) -> None:
        try:
            self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        except OSError as error:
            raise errors.InputError(
                f"{self._command[0]}: {error.strerror}: install it, or give --server='python "
                "tests/serving/server.py'"
            ) from error

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def transport(self) -> transports.Rest | transports.Grpc:
        if self._protocol == "rest":
            return transports.Rest(f"http://127.0.0.1:{self._ports[1]}/v1/models/ast_net")
        return transports.Grpc(f"127.0.0.1:{self._ports[0]}")

    def wait(self) -> None:
        """Waits until the server answers."""
        end, transport = time.monotonic() + START_SECONDS, self.transport()
        while True:
            try:
                transport.metadata(10.0)
                return
            except transports.Unavailable as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise errors.InputError(
                        f"the server does not answer (exit code {self._process.returncode}); run "
                        f"it by hand to see its messages: {shlex.join(self._command)}"
                    ) from error
                time.sleep(0.05)

    def memory(self) -> float:
        """Returns the memory that the server holds now, in MB."""
        pages = int(pathlib.Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def run(process: Process, start: float, seconds: float, kills: int) -> tuple[list[str], list[str]]:
    """Kills and restarts the server at even intervals, and measures its memory.

    Returns:
      For each start of the server its memory at the start, in the middle and at the end, in MB, and
      for each kill how long the server was down, in seconds.
    """
    memory, downtimes = [], []
    for number in range(kills + 1):
        begin, end = time.monotonic(), start + seconds * (number + 1) / (kills + 1)
        megabytes = [process.memory()]
        for until in ((begin + end) / 2, end):
            time.sleep(max(0.0, until - time.monotonic()))
            megabytes.append(process.memory())
        memory.append(", ".join(f"{value:.0f}" for value in megabytes))
        if number < kills:
            killed = time.monotonic()
            process.kill()
            process.start()
            process.wait()
            downtimes.append(f"{time.monotonic() - killed:.1f}")
    return memory, downtimes


def load(arguments: argparse.Namespace, process: Process) -> list[str]:
    """Runs the clients; returns the rows of the table."""
    process.wait()
    portrait = np.asarray(cv2.imread(str(PORTRAIT), cv2.IMREAD_COLOR_RGB))[:224, :224]
    faces = np.stack([np.roll(portrait, 2 * shift, axis=1) for shift in range(16)])
    # Without kills a failed attempt is an error, so there is no second one.
    patience = START_SECONDS if arguments.kills else 0
    *clients, alone = [
        Client(remote.Server(process.transport(), patience=patience), faces, arguments.jpeg_quality)
        for _ in range(arguments.clients + 1)
    ]
    # Warm up for a second, so that one-time work is not measured.
    for client in clients:
        client.run(time.monotonic() + 1)
        client.latencies = []
    start = time.monotonic()
    threads = [
        threading.Thread(target=client.run, args=(start + arguments.seconds,)) for client in clients
    ]
    for thread in threads:
        thread.start()
    memory, downtimes = run(process, start, arguments.seconds, arguments.kills)
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    while alone.frames < max(client.frames for client in clients):
        alone.send()
    latencies = 1e3 * np.array([seconds for client in clients for seconds in client.latencies])
    failures = [error for client in (*clients, alone) for error in client.errors]
    if not latencies.size or alone.errors:
        raise errors.InputError(f"there are no answers to compare: {failures[:1]}")
    percentiles = np.percentile(latencies, [50, 95, 99, 100])
    counts = [len(client.latencies) for client in clients]
    frames = sum(client.frames for client in clients)
    different = sum(client.different(alone) for client in clients)
    return [
        "| requests/s | latency 50, 95, 99, 100 % | requests per client | errors | predictions "
        "that differ | memory at start, middle, end | down |",
        "|---|---|---|---|---|---|---|",
        f"| {len(latencies) / seconds:.1f} | {', '.join(f'{p:.1f}' for p in percentiles)} ms | "
        f"{min(counts)} to {max(counts)}, median {statistics.median(counts):g} | {len(failures)} | "
        f"{different} of {frames} | {'; '.join(memory)} MB | {', '.join(downtimes) or 0} s |",
        *sorted(set(failures))[:3],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=pathlib.Path, help="folder that holds the model's versions")
    parser.add_argument(
        "--server", default="tensorflow_model_server", help="command that starts the server"
    )
    parser.add_argument("--protocol", default="grpc", choices=["grpc", "rest"])
    parser.add_argument("--clients", type=int, default=8, help="number of clients")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the measurement")
    parser.add_argument("--kills", type=int, default=0, help="how often the server is killed")
    parser.add_argument("--jpeg_quality", type=int, default=95, help="1 to 100")
    arguments = parser.parse_args()
    try:
        process = Process(arguments)
        try:
            rows = load(arguments, process)
        finally:
            process.kill()
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    kills = f", {arguments.kills} kills" if arguments.kills else ""
    print(f"{arguments.protocol}, {arguments.clients} clients, {arguments.seconds:g} s{kills}\n")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
