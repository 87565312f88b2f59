"""Measures how a served model answers many faces at once; prints Markdown.

    tools/run -m ast_net.export
    tools/run -m ast_net.export --format=onnx
    tools/run -m ast_net.export --format=openvino
    tools/run tools/benchmark_serving.py models/ast_net --server="python tests/serving/server.py"

Starts the server with the flags of tensorflow_model_server, which is also the default of --server.
1, 8 and 32 faces (--faces) are filmed at the same time. Each sends a frame with its LSTM states,
and the next one as soon as that is answered:
- a request each: as if every face had a program of its own;
- threads: one program, a thread for each face, and one `remote.Server`, which joins requests;
- together: one program that predicts all faces at once (`RemotePredictor.predict_together`).

Beside them, ONNX Runtime and OpenVINO compute the same in this process, without JPEG. They use the
folders that export writes beside the SavedModel (models/ast_net_onnx, models/ast_net_openvino).

All take turns, --rounds times. Numbers are medians of the rounds, latencies those of all requests.
At the end every face's frames are sent once more, one by one; `difference` is the largest one from
these predictions. With --kills=2 the server is killed twice in each measurement, at even intervals,
and restarted on the same ports; unanswered requests are sent again:

    tools/run tools/benchmark_serving.py models/ast_net --server="python tests/serving/server.py" \\
        --faces=8 --seconds=60 --rounds=1 --kills=2
"""

import argparse
import dataclasses
import functools
import importlib.util
import json
import os
import pathlib
import resource
import shlex
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import cv2
import numpy as np

from ast_net import errors
from ast_net.cnn import runtime
from ast_net.reports import tables
from ast_net.serving import remote, transports
from ast_net.temporal import state_history

PORTRAIT = pathlib.Path(__file__).parents[1] / "ast_net/demo/portrait.jpg"
# Time that the server may take to start.
START_SECONDS = 120.0
# Frame rate of the simulated videos, in frames/s.
FRAME_RATE = 25
# Frames that each client sends before the measurement, so that one-time work is not measured.
WARM_UP = 3
# There are so many different videos; faces take turns with them.
VIDEOS = 2
RUNTIMES = {"onnx": ("ONNX Runtime", "onnxruntime"), "openvino": ("OpenVINO", "openvino")}

# The next pictures [F, 224, 224, 3] of F faces, and their time [1] -> predictions [F, D].
Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
# Inputs by name -> outputs by name.
Network = Callable[..., Mapping[str, np.ndarray]]


def pictures() -> np.ndarray:
    """Returns the frames of the videos, uint8 RGB [VIDEOS, 16, 224, 224, 3]."""
    portrait = np.asarray(cv2.imread(str(PORTRAIT), cv2.IMREAD_COLOR_RGB))
    return np.stack(
        [
            [portrait[30 * video : 30 * video + 224, 2 * k : 2 * k + 224] for k in range(16)]
            for video in range(VIDEOS)
        ]
    )


class Client:
    """Sends the next frame of its faces again and again, and keeps the answers.

    Attributes:
      videos: the video of each face, [F].
      answers: for each frame, the predictions of the faces, [F, D]; None if there is no answer.
      latencies: seconds that each answer took.
    """

    def __init__(self, predict: Predict, videos: list[int], frames: np.ndarray) -> None:
        self._predict, self.videos, self._frames = predict, videos, frames[videos]
        self.answers: list[np.ndarray | None] = []
        self.latencies: list[float] = []
        self.errors: list[str] = []

    def run(self, end: float) -> None:
        while time.monotonic() < end:
            self.send()

    def send(self) -> None:
        """Sends the next frame until it is answered, or until the client gives up."""
        number, start = len(self.answers), time.monotonic()
        faces = self._frames[:, number % self._frames.shape[1]]
        try:
            self.answers.append(self._predict(faces, np.array([number / FRAME_RATE])))
        except errors.InputError as error:
            self.errors.append(str(error))
            self.answers.append(None)
        else:
            self.latencies.append(time.monotonic() - start)


def remote_faces(server: remote.Server, count: int, jpeg_quality: int | None) -> Predict:
    """Returns a function that predicts faces together, by as few requests as possible."""
    first = remote.RemotePredictor(server, jpeg_quality)
    predictors = [first, *(first.another() for _ in range(count - 1))]

    def predict(faces: np.ndarray, times: np.ndarray) -> np.ndarray:
        frames = [face[np.newaxis] for face in faces]
        try:
            answer = first.predict_together(predictors, frames, [times] * count)
        except errors.InputError:
            for predictor in predictors:
                predictor.skip(times)
            raise
        return np.concatenate(answer)

    return predict


def networks(folder: pathlib.Path, format_name: str) -> Callable[[str], Network]:
    """Returns a function that loads a network of an exported folder, to compute in float32."""
    described = json.loads((folder / "model.json").read_text())["functions"]
    if format_name == "onnx":
        import onnxruntime

        def load(name: str) -> Network:
            session = onnxruntime.InferenceSession(folder / described[name]["file"])
            outputs = list(described[name]["outputs"])
            return lambda **inputs: dict(zip(outputs, session.run(outputs, inputs), strict=True))

        return load

    runtime.forbid_openvino_reports()
    import openvino

    def compiled(name: str) -> Network:
        precision = {"INFERENCE_PRECISION_HINT": "f32"}
        network = openvino.compile_model(folder / described[name]["file"], "CPU", precision)
        outputs = list(described[name]["outputs"])
        return lambda **inputs: dict(zip(outputs, map(network(inputs).__getitem__, outputs)))

    return compiled


def local_faces(folder: pathlib.Path, cnn: Network, step: Network, count: int) -> Predict:
    """Returns a function that predicts faces by networks in this process."""
    model = json.loads((folder / "model.json").read_text())
    sizes = {name: state["size"] for name, state in model["states"].items()}
    histories = [state_history.StateHistory(sizes, model["time_step"]) for _ in range(count)]

    def predict(faces: np.ndarray, times: np.ndarray) -> np.ndarray:
        before = [history.states(history.predecessors(times)) for history in histories]
        joined = {name: np.concatenate([states[name] for states in before]) for name in sizes}
        answer = step(features=cnn(faces=faces)["fc6"], **joined)
        for k, history in enumerate(histories):
            after = {name: answer[model["states"][name]["next"]][k : k + 1] for name in sizes}
            history.append(times, after)
        return np.stack([answer[name] for name in model["targets"]], axis=1)

    return predict


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

    def processor_seconds(self) -> float:
        """Returns the processor time that the server has taken since its start."""
        numbers = pathlib.Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2]
        return sum(map(int, numbers.split()[11:13])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@dataclasses.dataclass
class Load:
    """A number of faces and a way to compute them.

    Attributes:
      faces: number of faces that are filmed at the same time.
      way: how they are computed, for the table.
      start: returns new clients.
      jpeg_quality: of the pictures that are sent.
      rounds: the measurements so far.
    """

    faces: int
    way: str
    start: Callable[[], list[Client]]
    jpeg_quality: int | None
    rounds: list["Measurement"] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Measurement:
    """What one round gave: faces/s, processor time for each face in ms, memory in MB, downtimes."""

    clients: list[Client]
    rate: float
    server_ms: float
    client_ms: float
    memory: list[float]
    downtimes: list[float]


def loads(arguments: argparse.Namespace, process: Process) -> Iterator[Load]:
    """Yields all loads; says which runtimes are missing. With kills, only the server's loads."""
    frames, quality = pictures(), arguments.jpeg_quality
    # Without kills a failed attempt is an error, so there is no second one.
    patience = START_SECONDS if arguments.kills else 0

    def server() -> remote.Server:
        return remote.Server(process.transport(), patience=patience)

    def one_by_one(count: int, shared: bool) -> list[Client]:
        servers = [server()] * count if shared else [server() for _ in range(count)]
        predictors = [remote_faces(one, 1, quality) for one in servers]
        return [Client(predict, [k % VIDEOS], frames) for k, predict in enumerate(predictors)]

    def together(new: Callable[[int], Predict], count: int) -> list[Client]:
        return [Client(new(count), [k % VIDEOS for k in range(count)], frames)]

    def remote_together(count: int) -> Predict:
        return remote_faces(server(), count, quality)

    for count in arguments.faces:
        each = functools.partial(one_by_one, count)
        yield Load(count, "a request each", functools.partial(each, False), quality)
        if count > 1:
            yield Load(count, "threads", functools.partial(each, True), quality)
            joint = functools.partial(together, remote_together, count)
            yield Load(count, "together", joint, quality)
    for format_name, (name, package) in ({} if arguments.kills else RUNTIMES).items():
        folder = arguments.models.with_name(f"{arguments.models.name}_{format_name}")
        if importlib.util.find_spec(package) is None:
            print(f"{name} is not measured: {package} is not installed\n")
        elif not (folder / "model.json").exists():
            print(f"{name} is not measured: no {folder}; export with --format={format_name}\n")
        else:
            cnn, step = map(networks(folder, format_name), ("cnn", "step"))
            new = functools.partial(local_faces, folder, cnn, step)
            for count in arguments.faces:
                here = functools.partial(together, new, count)
                yield Load(count, f"{name}, here", here, None)


def measure(clients: list[Client], process: Process, seconds: float, kills: int) -> Measurement:
    """Runs the clients; kills and restarts the server at even intervals."""
    for client in clients:
        for _ in range(WARM_UP):
            client.send()
        client.latencies.clear()
    start, server, own = time.monotonic(), process.processor_seconds(), time.process_time()
    threads = [threading.Thread(target=c.run, args=(start + seconds,)) for c in clients]
    for thread in threads:
        thread.start()
    memory, downtimes = [process.memory()], []
    for number in range(kills):
        time.sleep(max(0.0, start + seconds * (number + 1) / (kills + 1) - time.monotonic()))
        killed = time.monotonic()
        process.kill()
        process.start()
        process.wait()
        downtimes.append(time.monotonic() - killed)
    for thread in threads:
        thread.join()
    faces = sum(len(client.videos) * len(client.latencies) for client in clients)
    if not faces:
        raise errors.InputError(f"there are no answers: {clients[0].errors[:1]}")
    return Measurement(
        clients,
        faces / (time.monotonic() - start),
        # The processor time of a killed server is lost.
        np.nan if kills else 1e3 * (process.processor_seconds() - server) / faces,
        1e3 * (time.process_time() - own) / faces,
        [*memory, process.memory()],
        downtimes,
    )


class Reference:
    """The predictions of the videos, by requests of one frame."""

    def __init__(self, process: Process) -> None:
        self._process, self._frames = process, pictures()
        self._clients: dict[tuple, Client] = {}

    def difference(self, client: Client, jpeg_quality: int | None) -> float:
        """Returns the largest difference between a client's answers and these predictions."""
        result = 0.0
        for k, video in enumerate(client.videos):
            if (video, jpeg_quality) not in self._clients:
                server = remote.Server(self._process.transport())
                predict = remote_faces(server, 1, jpeg_quality)
                self._clients[video, jpeg_quality] = Client(predict, [video], self._frames)
            alone = self._clients[video, jpeg_quality]
            while len(alone.answers) < len(client.answers):
                alone.send()
            for answer, expected in zip(client.answers, alone.answers):
                if answer is not None and expected is not None:
                    result = max(result, float(np.abs(answer[k] - expected[0]).max()))
        return result


def row(load: Load, reference: Reference) -> tables.Row:
    """Returns the row of a load for the table."""
    clients = [client for measured in load.rounds for client in measured.clients]
    latencies = 1e3 * np.array([seconds for client in clients for seconds in client.latencies])
    percentiles = np.percentile(latencies, [50, 95, 100])
    difference = max(reference.difference(client, load.jpeg_quality) for client in clients)
    memory = [megabytes for measured in load.rounds for megabytes in measured.memory]
    downtimes = [f"{seconds:.1f}" for measured in load.rounds for seconds in measured.downtimes]
    result: tables.Row = {"faces": load.faces, "way": load.way}
    result["faces/s"] = round(statistics.median(m.rate for m in load.rounds))
    result["latency 50, 95, 100 %"] = f"{', '.join(f'{p:.0f}' for p in percentiles)} ms"
    for name in ("server", "client"):
        milliseconds = statistics.median(getattr(m, f"{name}_ms") for m in load.rounds)
        result[f"{name}'s processor, ms/face"] = milliseconds
    result["errors"] = sum(len(client.errors) for client in clients)
    result["difference"] = f"{difference:.1e}"
    result["server's memory"] = f"{memory[0]:.0f} to {memory[-1]:.0f} MB"
    if downtimes:
        result["down"] = f"{', '.join(downtimes)} s"
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=pathlib.Path, help="folder that holds the model's versions")
    parser.add_argument(
        "--server", default="tensorflow_model_server", help="command that starts the server"
    )
    parser.add_argument("--protocol", default="grpc", choices=["grpc", "rest"])
    parser.add_argument(
        "--faces",
        type=lambda text: [int(number) for number in text.split(",")],
        default=[1, 8, 32],
        help="numbers of faces; default: 1,8,32",
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of a measurement; default: 2")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each; default: 3")
    parser.add_argument("--kills", type=int, default=0, help="how often the server is killed")
    parser.add_argument("--jpeg_quality", type=int, default=95, help="1 to 100; default: 95")
    arguments = parser.parse_args()
    try:
        process = Process(arguments)
        try:
            process.wait()
            every_load = list(loads(arguments, process))
            for _ in range(arguments.rounds):
                for load in every_load:
                    clients = load.start()
                    load.rounds.append(
                        measure(clients, process, arguments.seconds, arguments.kills)
                    )
            reference = Reference(process)
            rows = [row(load, reference) for load in every_load]
        finally:
            process.kill()
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    rounds = f"{arguments.rounds} x {arguments.seconds:g} s"
    print(f"{arguments.protocol}, JPEG of quality {arguments.jpeg_quality}, {rounds}\n")
    print(tables.markdown(rows, digits=1))
    problems = {e for load in every_load for m in load.rounds for c in m.clients for e in c.errors}
    print("\n".join(sorted(problems)[:3]))


if __name__ == "__main__":
    main()
