"""Damages every kind of file that the package reads: an error names it, or it is read.

Seed k damages a file of kind k modulo the number of kinds. With more damages:

    AST_NET_DAMAGES=2000 python -m pytest -n 0 tests/test_damaged_files.py
"""

import dataclasses
import json
import os
import pathlib
import random
import shutil
from collections.abc import Callable
from unittest import mock

import cv2
import keras
import layouts
import numpy as np
import pytest
import scipy.io
import tensorflow as tf

from ast_net import cli, config, errors, jobs, workdir
from ast_net.cnn import expression_head, vgg16, vgg_face, weight_files
from ast_net.datasets import ferplus
from ast_net.faces import face_track, video
from ast_net.records import (
    catalogue,
    example_format,
    expression_pictures,
    making,
    record_files,
    store,
)
from ast_net.reports import comparison_figures, reproduction_scores
from ast_net.temporal import stacked_lstm, temporal_model
from ast_net.training import fit

DAMAGES = int(os.environ.get("AST_NET_DAMAGES", "300"))
PARTS = 10
# VGG-16 with few filters, so that its files are small.
BLOCKS = ((2, 2), (2, 2), (2, 3), (2, 3), (2, 3))


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
      files: pattern of the files in the folder that are damaged.
      write: writes a folder.
      read: reads the folder as the package does; returns arrays.
      exact: whether checksums find any change of the numbers.
    """

    files: str
    write: Callable[[pathlib.Path], object]
    read: Callable[[pathlib.Path], dict[str, np.ndarray]]
    exact: bool = False


def write_model(folder):
    network = stacked_lstm.build_stacked_lstm(6, (5, 4), 2)
    stacked_lstm.save(network, folder / "best.weights.h5")
    spec = temporal_model.ModelSpec(
        ("valence", "arousal"), 6, (5, 4), "compact", "eaa19786", None, 7, 0.4, 25.0, (0.0, 0.0)
    )
    temporal_model.save_spec(folder / "model.json", spec)


def read_model(folder):
    model = temporal_model.load(folder)
    assert len(model.spec.targets) == 2
    return {weights.path: weights.numpy() for weights in model.network.weights}


def write_head(folder):
    head = expression_head.build(5, ("glad", "sad", "mad"))
    expression_head.save(head, folder / expression_head.FILE)


def read_head(folder):
    head = expression_head.load(5, folder / expression_head.FILE)
    assert len(head.expressions) == 3
    return {weights.name: weights.numpy() for weights in head.network.weights}


@pytest.fixture(scope="module")
def vgg():
    with mock.patch.object(vgg16, "BLOCKS", BLOCKS):
        return vgg16.build_vgg16()


def write_vgg(model):
    def write(folder):
        pairs = [layer for layer in model.layers if layer.weights]
        cells = np.empty((1, len(pairs)), object)
        for k, layer in enumerate(pairs):
            kernel, bias = (np.float32(0.1) + 0 * weights.numpy() for weights in layer.weights[:2])
            if layer.name == "fc6":
                kernel = np.full((7, 7, 2, layer.units), 0.1, np.float32)
                bias = np.full(layer.units, 0.1, np.float32)
            cells[0, k] = np.empty((1, 1), [("name", object), ("weights", object)])
            weights = np.empty((1, 2), object)
            weights[0, 0], weights[0, 1] = kernel, bias[:, np.newaxis]
            cells[0, k][0, 0] = (layer.name, weights)
        scipy.io.savemat(folder / "vgg-face.mat", {"layers": cells})

    return write


def read_vgg(model):
    def read(folder):
        vgg_face.load_into(model, folder / "vgg-face.mat")
        return {weights.path: weights.numpy() for weights in model.weights}

    return read


def write_run(folder):
    settings = config.Experiment(dataset="recola", manual_dir="recola", workdir="run")
    workdir.claim(folder, settings)


def read_run(folder):
    assert isinstance(workdir.find(folder, config.Experiment), config.Experiment)
    return {}


def read_flags(folder):
    cli.parse("train", [f"--flagfile={folder / workdir.RUN_FLAGS}"]).read(config.Experiment)
    return {}


def train(folder):
    variable = tf.Variable(tf.zeros(3))

    def step(batch):
        variable.assign_add(batch)
        return {"loss": tf.reduce_sum(variable)}

    task = fit.Task(
        {"variables": [variable]},
        lambda epoch: [tf.ones(3)],
        lambda epoch: step,
        lambda: {"dev_loss": 0.5},
        lambda row: -row["dev_loss"],
        lambda: None,
    )
    fit.fit(folder, task, 3)
    return {"variable": variable.numpy()}


def write_track(folder):
    rng = np.random.default_rng(1)
    track = face_track.Track(
        np.arange(20) / 25,
        np.ones(20, bool),
        np.ones(20, np.float32),
        rng.random((20, 4), np.float32),
        rng.random((20, 5, 2), np.float32),
    )
    face_track.save_track(folder / "track.npz", track)


def read_track(folder):
    return vars(face_track.load_track(folder / "track.npz"))


def write_records(film):
    """Writes records whose features are random; the CNN and the face detector are not needed."""

    def make_all(settings):
        def make(_, made):
            for job in made:
                rng, frames = np.random.default_rng(len(job.name)), 60
                labels = rng.uniform(-1, 1, (frames, 2))
                recording = example_format.RecordingFrames(
                    job.name, np.arange(frames) / 25, np.ones(frames, bool), labels
                )
                making.write(job, recording, rng.random((frames, 512)).astype("f2"), settings)
            return {}

        return make

    def write(folder):
        layouts.recordings(folder / "source", film)
        settings = layouts.preparation(
            "recordings", data_dir=str(folder / "data"), manual_dir=str(folder / "source")
        )
        with mock.patch.object(making, "make_all", make_all(settings)):
            store.prepare(settings)

    return write


def read_records(folder):
    (path,) = folder.glob("data/recordings/*/*")
    records = record_files.Records(path)
    with records.naming_damage():
        result = {}
        for split in ("train", "dev"):
            for k, example in enumerate(records.segments(split).as_numpy_iterator()):
                example.pop("recording")
                result |= {f"{split} {k} {name}": values for name, values in example.items()}
            for kind in (records.frames, records.sums):
                for k, part in enumerate(kind(split)):
                    values = part if isinstance(part, dict) else vars(part)
                    values = {n: v for n, v in values.items() if n != "recording"}
                    result |= {f"{kind.__name__} {split} {k} {n}": v for n, v in values.items()}
        return result


def write_ferplus(folder):
    rng = np.random.default_rng(2)
    pixels = ["emotion,pixels,Usage"]
    votes = [
        "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    ]
    for k, split in enumerate(("Training", "Training", "PublicTest", "PrivateTest")):
        pixels.append(f"{k},{' '.join(map(str, rng.integers(0, 256, 48 * 48)))},{split}")
        votes.append(f"{split},fer{k:07}.png,{','.join(['5', '5', *['0'] * 8])}")
    (folder / "fer2013.csv").write_text("\n".join(pixels) + "\n")
    (folder / "fer2013new.csv").write_text("\n".join(votes) + "\n")


def read_ferplus(folder):
    return {
        f"{split} {k}": np.asarray(array, np.float32)
        for split, part in ferplus.read(folder).items()
        for k, array in enumerate(part)
    }


def write_pictures_of_ferplus(folder):
    (folder / "source").mkdir()
    write_ferplus(folder / "source")
    expression_pictures.load("ferplus", str(folder / "data"), str(folder / "source"))


def read_pictures_of_ferplus(folder):
    splits = expression_pictures.load("ferplus", str(folder / "data"), None)
    return {f"{s} {k}": array for s, part in splits.items() for k, array in enumerate(part)}


def ratings(dataset, train=(), dev=()):
    def read(folder):
        partitions = {"train": train, "dev": dev} if train else {}
        settings = layouts.preparation(dataset, partitions, manual_dir=str(folder))
        reader = catalogue.data_set(settings).reader(settings)
        for part in reader.sources(reader.folder()).values():
            for source in part:
                times, gold = source.read_gold()
                assert (np.diff(times) > 0).all() and not (np.abs(gold) > 1).any()
        return {}

    return read


def write_afew_va(folder):
    layouts.afew_va(folder, [np.zeros((2, 2, 3), np.uint8)] * 12, ("001", "003"), ("A", "B"))


def write_pictures(folder):
    for k in range(3):
        image = np.random.default_rng(k).integers(0, 256, (32, 32, 3), np.uint8)
        cv2.imwrite(str(folder / f"{k:03}.{('png', 'jpg', 'png')[k]}"), image)


def read_film(name):
    def read(folder):
        for frame in video.open_video(folder / name).frames():
            assert frame.image.dtype == np.uint8 and frame.image.ndim == 3
        return {}

    return read


def write_scores(folder):
    smoothness = {"predictions": 0.01, "labels": 0.02}
    scores = {"cc": 0.5, "ccc": 0.4, "rmse": 0.1, "smoothness": smoothness}
    targets = {target: scores for target in ("valence", "arousal", "average")}
    document = {
        "split": "dev",
        "epoch": 3,
        "chose_epoch": True,
        "reaction_delay": [0.0, 0.0],
        "protocols": {"rated": targets},
        "recordings": {name: {"rated": targets} for name in ("P1", "P2")},
    }
    (folder / "metrics.json").write_text(json.dumps(document, indent=1))
    names = [f"{target}_{kind}" for target in layouts.TARGETS for kind in ("label", "prediction")]
    rows = [",".join(["recording", "frame", "timestamp_s", "face", *names])]
    for name in ("P1", "P2"):
        rows += [f"{name},{k},{k / 25},1,0.1,0.2,0.3,0.4" for k in range(20)]
    (folder / "predictions.csv").write_text("\n".join(rows) + "\n")


def read_scores(folder):
    scores = reproduction_scores.Scores([reproduction_scores.RunEvaluation("La", 0, folder)])
    list(scores.long_table())
    for target in scores.targets:
        scores.summary("La", target)
    comparison_figures._read(scores, "La", ["P1"])
    return {}


def write_job(folder):
    (folder / "one.json").write_text(json.dumps({"arguments": ["-c", ""], "seconds": 3.5}))


def read_job(folder):
    jobs._duration(folder, jobs.Command("one", ("-c", "")))
    return {}


def write_small(folder):
    keras.utils.set_random_seed(3)
    small().save_weights(folder / "small.weights.h5")


def small():
    inputs = keras.Input((4,))
    outputs = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(3)(inputs))
    return keras.Model(inputs, outputs, name="small")


def read_small(folder):
    model = small()
    weight_files.load(model, folder / "small.weights.h5", "the weights of small")
    return {f"{k}": weights.numpy() for k, weights in enumerate(model.weights)}


@pytest.fixture(scope="module")
def kinds(vgg, face_video):
    def film(folder):
        shutil.copyfile(face_video, folder / "face.mp4")

    def avec2012(folder):
        layouts.avec2012(folder, face_video, sessions=("train001", "devel001"))

    def semaine(folder):
        layouts.semaine(folder, users={"1": "3", "13": "7"})

    return {
        "temporal model": Kind("*", write_model, read_model),
        "head": Kind("*.h5", write_head, read_head),
        "weights": Kind("*.h5", write_small, read_small),
        "VGG-Face": Kind("*.mat", write_vgg(vgg), read_vgg(vgg)),
        "run.flags": Kind("run.flags", write_run, read_run),
        "flagfile": Kind("run.flags", write_run, read_flags),
        "checkpoints": Kind("checkpoints/*", train, train),
        "history": Kind("history.csv", train, train),
        "track": Kind("*.npz", write_track, read_track, exact=True),
        "records": Kind("data/recordings/*/*/*", write_records(face_video), read_records),
        "shards": Kind("data/**/*.tfrecord*", write_records(face_video), read_records, exact=True),
        "sums": Kind("data/recordings/**/*.npz", write_records(face_video), read_records, True),
        "FER+": Kind("*.csv", write_ferplus, read_ferplus),
        "prepared FER+": Kind(
            "data/ferplus/*/*", write_pictures_of_ferplus, read_pictures_of_ferplus
        ),
        "own": Kind("**/*.csv", layouts.recordings, ratings("recordings")),
        "RECOLA": Kind("**/*.csv", layouts.recola_own, ratings("recola", ("P16",), ("P19",))),
        "ARFF": Kind(
            "ratings_gold_standard/*/*.arff",
            layouts.recola_avec_2016,
            ratings("recola", ("train_1",), ("dev_1",)),
        ),
        "AVEC 2012": Kind("**/*.dat", avec2012, ratings("avec2012", ("train001",), ("devel001",))),
        "SEMAINE": Kind("Sessions/*/*.[tx]*", semaine, ratings("semaine", ("1",), ("13",))),
        "AFEW-VA": Kind("*/*.json", write_afew_va, ratings("afew_va", ("001",), ("003",))),
        "pictures": Kind("*.*", write_pictures, read_film("")),
        "video": Kind("*.mp4", film, read_film("face.mp4")),
        "scores": Kind("*.*", write_scores, read_scores),
        "job": Kind("*.json", write_job, read_job),
    }


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def places(kinds, tmp_path_factory):
    """A folder of each kind, the files to damage, all files' contents, and what is read."""
    result = {}
    for name, kind in kinds.items():
        folder = tmp_path_factory.mktemp("kind")
        kind.write(folder)
        paths = sorted(path for path in folder.glob(kind.files) if path.is_file())
        contents = {path: path.read_bytes() for path in files_in(folder)}
        result[name] = folder, paths, contents, kind.read(folder)
    return result


def damaged(rng: random.Random, content: bytes) -> bytes:
    """Returns the content with damage of a random sort, and possibly with none."""
    changed = bytearray(content)
    start = rng.randrange(len(content) + 1)
    end = min(len(content), start + rng.choice((1, 4, 64, 4096)))
    match rng.randrange(9):
        case 0:
            for _ in range(rng.choice((1, 3, 30))):
                changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        case 1:
            return content[:start]
        case 2:
            changed[start:end] = rng.randbytes(end - start)
        case 3:
            changed[start:end] = bytes(end - start)
        case 4:
            return content[:start] + content[end:]
        case 5:
            return content[:end] + content[start:]
        case 6:
            return rng.choice((b"", b"x", b"\0" * 99, b"PK\3\4", b"{}", b"null", b"[" * 10**5))
        case 7:
            return rng.randbytes(len(content))
        case 8:
            return changed_json(rng, content)
    return bytes(changed)


def changed_json(rng: random.Random, content: bytes) -> bytes:
    """Changes one value of a JSON file, or a number in another text."""
    odd = rng.choice((None, [], {}, "", "x", -1, 0, 1e300, 10**30, True, [[["x"]]], {"x": None}))
    try:
        document = json.loads(content)
    except ValueError:
        digits = [k for k, byte in enumerate(content) if 48 <= byte < 58]
        if not digits:
            return content
        start = rng.choice(digits)
        return content[:start] + str(odd).encode() + content[start + 1 :]
    at = [document]
    while isinstance(at[-1], dict | list) and at[-1]:
        keys = list(at[-1]) if isinstance(at[-1], dict) else range(len(at[-1]))
        key = rng.choice(keys)
        if rng.random() < 0.3 or not isinstance(at[-1][key], dict | list) or not at[-1][key]:
            at[-1][key] = odd
            break
        at.append(at[-1][key])
    return json.dumps(document).encode()


@pytest.mark.parametrize("part", range(PARTS))
def test_a_damaged_file_gives_an_error_that_names_it_or_is_read(part, kinds, places):
    refused = 0
    for seed in range(part, DAMAGES, PARTS):
        rng = random.Random(seed)
        name = list(kinds)[seed % len(kinds)]
        folder, paths, contents, right = places[name]
        path = rng.choice(paths)
        path.write_bytes(damaged(rng, contents[path]))
        case = f"seed {seed}, {path}"
        try:
            result = kinds[name].read(folder)
        except errors.InputError as error:
            refused += 1
            # A wrong flag is reported as on the command line.
            assert str(folder) in str(error) or name == "flagfile", case
        except BaseException as error:
            error.add_note(case)
            raise
        else:
            assert result.keys() == right.keys(), case
            for key, array in result.items():
                assert np.shape(array) == np.shape(right[key]), (case, key)
                assert np.isfinite(array).all(), (case, key)
                if kinds[name].exact:
                    np.testing.assert_array_equal(array, right[key], err_msg=case)
        finally:
            for file, content in contents.items():
                if not file.is_file() or file.read_bytes() != content:
                    file.write_bytes(content)
            for file in {*files_in(folder)} - contents.keys():
                file.unlink()
    assert refused > DAMAGES / PARTS / 4
