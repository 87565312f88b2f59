"""Runs the commands of README.md and tools/guides/ in a new folder, on generated inputs.

    tools/run tests/documented_commands.py FOLDER [--only=TEXT]

The videos, ratings and pictures that the commands name are generated in FOLDER, a few seconds each,
and trainings are cut to one epoch. Where a command starts TensorFlow Serving, the tests' stand-in
for it (tests/serving/server.py) is started. A command that cannot be run here is listed with the
reason. Ends with status 1 if a command failed.
"""

import argparse
import csv
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "tools/guides").glob("*.md")))
# How a command begins; other indented lines show files, tables and output.
_COMMAND = re.compile(r"(tools/run|python|pip|git|cd|source|docker|curl|kubectl|srun|sbatch) ")
# Why a command that contains the text is not run.
SKIPPED = {
    "git clone": "an address is needed",
    "cd ast-net": "for the repository's own folder",
    "-m pytest": "the tests are run by .ci/run",
    "-m venv": "environments are made by .ci/run",
    "source env": "environments are made by .ci/run",
    "pip install": "environments are made by .ci/run",
    "pip uninstall": "it would change the environment of the machine",
    "--camera": "a camera is needed",
    "ast_net.app": "it serves until Ctrl-C is pressed",
    "check_page": "a browser is needed",
    "jupyterlab": "a browser is needed; tests/tools/test_tour.py runs the notebook",
    "fetch_vgg_face": "it downloads 500 MB",
    "fer2013_vgg16": "it trains VGG-16 for a day",
    "kubectl": "a cluster is needed",
    "onnx": "the extra onnx is needed; tests/tools/test_onnx_client.py runs it",
    "gpu": "a GPU is needed",
    "beam_pipeline_options": "a cluster is needed; tests/test_dask.py starts one",
    "-m dask": "it serves until it is stopped",
    "docker build": "Docker is needed",
    "sbatch": "Slurm is needed",
    "srun": "Slurm is needed",
}
# What is shortened or replaced in commands, in this order.
REPLACED = {
    "tools/run ": f"{ROOT}/tools/run ",
    " tools/": f" {ROOT}/tools/",
    " --backbone_weights=runs/fer2013-vgg16/backbone.weights.h5": " --backbone=compact",
    "=RECOLA": "=RECOLA --train_recordings=P16 --dev_recordings=P19",
    "--seeds=5": "--seeds=1 --rows=La,mean --epochs=1",
    "-m ast_net.train": "-m ast_net.train --epochs=1",
}


def commands(page: pathlib.Path) -> list[str]:
    """Returns the commands of a page: its indented lines, joined where they end in a backslash."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    uncommented = (re.sub(r"\s+#.*", "", line) for line in lines)
    return [re.sub(r"\s+", " ", line) for line in uncommented if _COMMAND.match(line)]


def make_inputs(folder: pathlib.Path) -> None:
    """Makes what the commands name: talk.mp4, talks/, people/, FOLDER, OTHER, RECOLA, FER2013."""
    # Here, so that tests which only read the commands need not wait for TensorFlow.
    import numpy as np

    from ast_net.datasets import fer2013, recola_layouts
    from ast_net.demo import synthesis

    folder.mkdir(parents=True)
    settings = synthesis.DemoSettings(seconds=30.0)
    names = ["P16", "P19"]
    synthesis.generate(folder / "RECOLA", names, recola_layouts.RELEASE, settings)
    videos = [
        folder / "RECOLA" / recola_layouts.RELEASE.videos[0] / f"{name}.mp4" for name in names
    ]
    shutil.copyfile(videos[0], folder / "talk.mp4")
    (folder / "people").mkdir()
    for name in ("carla", "dora"):
        shutil.copyfile(ROOT / "ast_net/demo/portrait.jpg", folder / f"people/{name}.jpg")
    for place in ("talks", "FOLDER/videos"):
        (folder / place).mkdir(parents=True)
        for name, video in zip(("anna", "ben"), videos, strict=True):
            shutil.copyfile(video, folder / place / f"{name}.mp4")
    _write(
        folder / "FOLDER/recordings.csv",
        ["recording", "video", "split", "ratings"],
        ["anna", "videos/anna.mp4", "train", "ratings/anna.csv"],
        ["ben", "videos/ben.mp4", "dev", "ratings/ben.csv"],
    )
    (folder / "FOLDER/ratings").mkdir()
    times = np.arange(0, 30, 0.04)
    for name in ("anna", "ben"):
        rated = [[f"{t:.2f}", f"{np.sin(t) / 2:.3f}", f"{np.cos(t) / 2:.3f}"] for t in times]
        _write(folder / f"FOLDER/ratings/{name}.csv", ["time", "valence", "arousal"], *rated)
    shutil.copytree(folder / "FOLDER", folder / "OTHER")
    (folder / "FER2013").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (210, 48 * 48))
    usages = ["Training"] * 140 + ["PublicTest"] * 35 + ["PrivateTest"] * 35
    classes = len(fer2013.EXPRESSIONS)
    rows = [[k % classes, " ".join(map(str, pixels[k])), usage] for k, usage in enumerate(usages)]
    _write(folder / "FER2013/fer2013.csv", ["emotion", "pixels", "Usage"], *rows)


def run(command: str, folder: pathlib.Path) -> str:
    """Runs a command in the folder; returns "", or the end of its output if it failed."""
    for text, replacement in REPLACED.items():
        command = command.replace(text, replacement)
    ran = subprocess.run(
        ["bash", "-c", command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return "" if ran.returncode == 0 else ran.stdout.decode(errors="replace")[-3000:]


def start_server(folder: pathlib.Path) -> subprocess.Popen:
    """Starts the stand-in for TensorFlow Serving on the exported model, and waits for it."""
    server = subprocess.Popen(
        [sys.executable, ROOT / "tests/serving/server.py", "--rest_api_port=8501", "--port=0"]
        + [f"--model_base_path={folder / 'models/ast_net'}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(120):
        try:
            urllib.request.urlopen("http://localhost:8501/v1/models/ast_net").close()
            return server
        except OSError:
            time.sleep(1)
    raise SystemExit("error: the server did not start within two minutes")


def _write(path: pathlib.Path, *rows: list) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=pathlib.Path, help="folder to work in; must not exist")
    parser.add_argument("--only", default="", help="run only commands that contain this text")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    make_inputs(folder)
    server, failed, done = None, 0, set()
    for page in PAGES:
        for command in commands(page):
            if command in done or arguments.only not in command:
                continue
            done.add(command)
            reason = next((why for text, why in SKIPPED.items() if text in command), None)
            if reason:
                print(f"not run  {command}\n         {reason}", flush=True)
                continue
            start = time.monotonic()
            if command.startswith("docker run"):
                server, output = start_server(folder), ""
            else:
                output = run(command, folder)
            result = "failed " if output else "ok     "
            print(f"{result}  {command}  ({time.monotonic() - start:.0f} s)", flush=True)
            if output:
                failed += 1
                print(output, flush=True)
    if server is not None:
        server.kill()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
