"""How a served model answers many clients at once; prints Markdown.

    tools/run tools/benchmark_serving.py MODELS/ast_net --server="python tests/serving/server.py" \\
        [--seconds=60] [--kills=2]

Starts the server in a process of its own, with the flags of tensorflow_model_server; that is what
--server is by default. Each client sends one frame after the other, with its state, as soon as the
last one is answered. With --kills the server is killed so many times at even intervals, each time
started again at the same ports, and the clients send again what was not answered. At the end one
more client sends the same frames alone: all must have been predicted as it is.
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
# The server may take so long to begin.
STARTING_SECONDS = 120.0
# Of a client's frames, a second.
FRAME_RATE = 25
# Predictions of the same frame that are further apart differ.
TOLERANCE = 1e-5


class Client:
    """A camera's frames, one a request; what each was answered with is kept."""

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
        """Sends the next frame until it is answered, or the server's errors are final."""
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
        """How many of its frames were answered not once, or otherwise than another client's."""
        return sum(
            number not in self.answers
            or self.answers[number].shape != expected.answers[number].shape
            or not np.allclose(
                self.answers[number], expected.answers[number], rtol=0, atol=TOLERANCE
            )
            for number in range(self.frames)
        )


class Process:
    """The server, which can be killed and started again at the same ports."""

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
        """Until it answers."""
        end, transport = time.monotonic() + STARTING_SECONDS, self.transport()
        while True:
            try:
                transport.metadata(10.0)
                return
            except transports.Unavailable as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise errors.InputError(
                        f"the server does not answer, its exit code is {self._process.returncode}: "
                        f"see what it says: {shlex.join(self._command)}"
                    ) from error
                time.sleep(0.05)

    def memory(self) -> float:
        """MB that it holds now."""
        pages = int(pathlib.Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def run(process: Process, start: float, seconds: float, kills: int) -> tuple[list[str], list[str]]:
    """Kills the server in between.

    Returns each server's memory at start, middle and end, and how long each was away.
    """
    memory, away = [], []
    for number in range(kills + 1):
        begin, end = time.monotonic(), start + seconds * (number + 1) / (kills + 1)
        found = [process.memory()]
        for until in ((begin + end) / 2, end):
            time.sleep(max(0.0, until - time.monotonic()))
            found.append(process.memory())
        memory.append(", ".join(f"{each:.0f}" for each in found))
        if number < kills:
            killed = time.monotonic()
            process.kill()
            process.start()
            process.wait()
            away.append(f"{time.monotonic() - killed:.1f}")
    return memory, away


def load(arguments: argparse.Namespace, process: Process) -> list[str]:
    """The table's rows."""
    process.wait()
    portrait = np.asarray(cv2.imread(str(PORTRAIT), cv2.IMREAD_COLOR_RGB))[:224, :224]
    faces = np.stack([np.roll(portrait, 2 * shift, axis=1) for shift in range(16)])
    # Where nobody is killed an attempt that fails is an error: nothing is tried twice.
    patience = STARTING_SECONDS if arguments.kills else 0
    *clients, alone = [
        Client(remote.Server(process.transport(), patience=patience), faces, arguments.jpeg_quality)
        for _ in range(arguments.clients + 1)
    ]
    # Whatever is done once is done before.
    for client in clients:
        client.run(time.monotonic() + 1)
        client.latencies = []
    start = time.monotonic()
    threads = [
        threading.Thread(target=client.run, args=(start + arguments.seconds,)) for client in clients
    ]
    for thread in threads:
        thread.start()
    memory, away = run(process, start, arguments.seconds, arguments.kills)
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    while alone.frames < max(client.frames for client in clients):
        alone.send()
    latencies = 1e3 * np.array([each for client in clients for each in client.latencies])
    failed = [error for client in (*clients, alone) for error in client.errors]
    if not latencies.size or alone.errors:
        raise errors.InputError(f"no answer to compare: {failed[:1]}")
    at = np.percentile(latencies, [50, 95, 99, 100])
    counts = [len(client.latencies) for client in clients]
    frames = sum(client.frames for client in clients)
    different = sum(client.different(alone) for client in clients)
    return [
        "| requests/s | latency 50, 95, 99, 100 % | requests of a client | errors | predictions "
        "that differ | memory at start, middle, end | away |",
        "|---|---|---|---|---|---|---|",
        f"| {len(latencies) / seconds:.1f} | {', '.join(f'{each:.1f}' for each in at)} ms | "
        f"{min(counts)} to {max(counts)}, median {statistics.median(counts):g} | {len(failed)} | "
        f"{different} of {frames} | {'; '.join(memory)} MB | {', '.join(away) or 0} s |",
        *sorted(set(failed))[:3],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=pathlib.Path, help="the folder of the versions")
    parser.add_argument(
        "--server", default="tensorflow_model_server", help="command that starts it"
    )
    parser.add_argument("--protocol", default="grpc", choices=["grpc", "rest"])
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kills", type=int, default=0, help="of the server, at even intervals")
    parser.add_argument("--jpeg_quality", type=int, default=95)
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
