"""Small folders in the layouts of data sets. One function a data set; each gives the folder it wrote."""

import fractions
import json
import pathlib
import shutil
from collections.abc import Mapping, Sequence

import av
import cv2
import numpy as np


def write_avi(path: pathlib.Path, images: Sequence[np.ndarray], frame_rate: float) -> pathlib.Path:
    """A true AVI of pictures uint8 RGB [H, W, 3]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="avi") as container:
        height, width = images[0].shape[:2]
        rate = fractions.Fraction(frame_rate).limit_denominator(1000)
        stream = container.add_stream("mpeg4", rate, width=width, height=height)
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def curve(count: int, seed: float = 0.0) -> np.ndarray:
    """A smooth series [count] within -0.8 and 0.8, another for each seed."""
    return 0.8 * np.sin(np.arange(count) / 5 + seed)


def avec2012(
    folder: pathlib.Path,
    video: pathlib.Path,
    sessions: Sequence[str] = ("train001", "train002", "devel001", "test001"),
    labels: int = 24,
    targets: Sequence[str] = ("arousal", "expectancy", "power", "valence"),
) -> pathlib.Path:
    """AVEC2012's labels, `curve(labels, session + 10 target)` by their places, and copies of a video."""
    for k, session in enumerate(sessions):
        split, number = session[:-3], session[-3:]
        below = folder / "emotion labels" / split / f"FC_{split}_labels"
        below.mkdir(parents=True, exist_ok=True)
        for d, target in enumerate(targets):
            lines = "".join(f"{value:.6f}\n" for value in curve(labels, k + 10 * d))
            (below / f"labels_continuous_{session}_{target}.dat").write_text(lines)
        copy = folder / "video" / f"{split}_video{number}.avi"
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(video, copy)
    return folder


def semaine(
    folder: pathlib.Path,
    video: pathlib.Path,
    users: Mapping[str, str] = {"1": "3", "2": "3", "13": "7", "14": "9"},
    lengths: Sequence[int] = (24, 20),
    dimensions: str = "AVPE",
) -> pathlib.Path:
    """SEMAINE's sessions, each with its user's id: a trace of each rater and dimension, and a video.

    Rater r's trace of the session at place k and the dimension at place d has lengths[r] values of
    `curve(lengths[r], k + 10 d + 0.1 r)`, one every 0.02 s.
    """
    for k, (session, user) in enumerate(users.items()):
        below = folder / "Sessions" / session
        below.mkdir(parents=True)
        named = []
        for d, dimension in enumerate(dimensions):
            for r, length in enumerate(lengths):
                name = f"R{r + 1}S{session}TUCPoD{dimension}.txt"
                values = curve(length, k + 10 * d + 0.1 * r)
                rows = (f"{0.02 * i:.2f} {value:.6f}\n" for i, value in enumerate(values))
                (below / name).write_text("".join(rows))
                named += [name, name.replace("TUC", "TOC")]  # the operator's are elsewhere
        annotations = "".join(f'<annotation type="FeelTrace" filename="{n}"/>' for n in named)
        (below / "session.xml").write_text(
            f'<?xml version="1.0"?>\n<session sessionId="{session}" recording="1" character="Poppy">\n'
            f'<subject id="99" role="Operator"/>\n<subject id="{user}" role="User"/>\n'
            f'<track type="AV" filename="a.avi">{annotations}</track>\n'
            f'<track type="Audio" filename="a.wav">{annotations}</track>\n</session>\n'
        )
        stamp = "2008.12.05.16.03.15"
        shutil.copyfile(video, below / f"{stamp}_User_AV_lowQ_Poppy.avi")
        (below / f"{stamp}_Operator_AV_lowQ_Poppy.avi").touch()
    return folder


def afew_va(
    folder: pathlib.Path,
    images: Sequence[np.ndarray],
    clips: Sequence[str] = ("001", "002", "003", "004"),
    actors: Sequence[str | None] = ("A", "A", "B", "C"),
) -> pathlib.Path:
    """AFEW-VA's clips of the same pictures; picture i of the clip at place k has valence i % 21 - 10 and
    arousal k."""
    encoded = [cv2.imencode(".png", image[..., ::-1])[1].tobytes() for image in images]
    for k, (clip, actor) in enumerate(zip(clips, actors, strict=True)):
        (folder / clip).mkdir(parents=True)
        for i, content in enumerate(encoded):
            (folder / clip / f"{i:05d}.png").write_bytes(content)
        frames = {
            f"{i:05d}": {"valence": i % 21 - 10, "arousal": k, "landmarks": [[1.0, 2.0]] * 68}
            for i in range(len(images))
        }
        named = {} if actor is None else {"actor": actor}
        content = {**named, "frames": frames, "video_id": clip}
        (folder / clip / f"{clip}.json").write_text(json.dumps(content))
    return folder
