"""How a served model answers many clients at once; prints Markdown.

    tools/run tools/benchmark_serving.py MODELS/ast_net --server="python tests/serving/server.py" [--seconds=60]

Starts the server in a process of its own, with the flags of tensorflow_model_server; that is what --server is
by default. Each client sends one frame after the other, with its state, as soon as the last one is answered.
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

PORTRAIT = pathlib.Path(__file__).parents[1] / "ast_net/datasets/portrait.jpg"
# The server may take so long to begin.
STARTING_SECONDS = 120.0


class Client:
    """A camera's frames, one a request, for as long as it is told; the server's errors are counted."""

    def __init__(self, server: remote.Server, faces: np.ndarray, jpeg_quality: int | None) -> None:
        self._predictor = remote.RemotePredictor(server, 10, jpeg_quality)
        self._faces = faces
        self.latencies: list[float] = []
        self.errors: list[str] = []

    def run(self, end: float) -> None:
        number = 0
        while time.monotonic() < end:
            face = self._faces[number % len(self._faces)]
            number += 1
            start = time.monotonic()
            try:
                self._predictor.predict(face[np.newaxis])
            except errors.InputError as error:
                self.errors.append(str(error))
            else:
                self.latencies.append(time.monotonic() - start)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def resident(process: int) -> float:
    """Memory of a process now, MB."""
    pages = int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def connected(arguments: argparse.Namespace, ports: tuple[int, int]) -> remote.Server:
    if arguments.protocol == "rest":
        rest = transports.Rest(f"http://127.0.0.1:{ports[1]}/v1/models/ast_net")
        # An attempt that fails is an error here: nothing is tried twice.
        remote.Server(rest, patience=STARTING_SECONDS)
        return remote.Server(rest, patience=0)
    grpc = transports.Grpc(f"127.0.0.1:{ports[0]}")
    remote.Server(grpc, patience=STARTING_SECONDS)
    return remote.Server(grpc, patience=0)


def load(arguments: argparse.Namespace, ports: tuple[int, int], process: int) -> list[str]:
    """The table's rows."""
    portrait = np.asarray(cv2.imread(str(PORTRAIT), cv2.IMREAD_COLOR_RGB))[:224, :224]
    faces = np.stack([np.roll(portrait, 2 * shift, axis=1) for shift in range(16)])
    clients = [
        Client(connected(arguments, ports), faces, arguments.jpeg_quality)
        for _ in range(arguments.clients)
    ]
    # Whatever is done once is done before.
    for client in clients:
        client.run(time.monotonic() + 1)
        client.latencies, client.errors = [], []
    memory = [resident(process)]
    start = time.monotonic()
    end = start + arguments.seconds
    threads = [threading.Thread(target=client.run, args=(end,)) for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(arguments.seconds / 2)
    memory.append(resident(process))
    for thread in threads:
        thread.join()
    memory.append(resident(process))
    seconds = time.monotonic() - start
    latencies = 1e3 * np.array([each for client in clients for each in client.latencies])
    failed = [error for client in clients for error in client.errors]
    at = np.percentile(latencies, [50, 95, 99, 100])
    counts = [len(client.latencies) for client in clients]
    return [
        "| requests/s | latency 50, 95, 99, 100 % | requests of a client | errors | memory at start, middle, end |",
        "|---|---|---|---|---|",
        f"| {len(latencies) / seconds:.1f} | {', '.join(f'{each:.1f}' for each in at)} ms | {min(counts)} to "
        f"{max(counts)}, median {statistics.median(counts):g} | {len(failed)} | "
        f"{', '.join(f'{each:.0f}' for each in memory)} MB |",
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
    parser.add_argument("--jpeg_quality", type=int, default=95)
    arguments = parser.parse_args()
    ports = free_port(), free_port()
    command = [
        *shlex.split(arguments.server),
        "--model_name=ast_net",
        f"--model_base_path={arguments.models.resolve()}",
        f"--port={ports[0]}",
        f"--rest_api_port={ports[1]}",
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        rows = load(arguments, ports, process.pid)
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    finally:
        process.kill()
        process.wait()
    print(f"{arguments.protocol}, {arguments.clients} clients, {arguments.seconds:g} s\n")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
