"""Writes small folders in the layouts of the data sets: one function for each layout.

All take the folder and the videos to copy, which the recordings get in turn. Without videos, the
video files are empty, which is enough where only ratings are read. The gold standard of RECOLA and
of `recordings` is `gold_standard`.
"""

import fractions
import json
import pathlib
import shutil
from collections.abc import Mapping, Sequence

import av
import cv2
import numpy as np

from ast_net import config

TARGETS = ("valence", "arousal")
# A rating every 0.04 s for 1.6 s.
TIMES = np.arange(41) / 25


def preparation(dataset: str, partitions=None, **settings) -> config.Preparation:
    """Returns settings with short clips; partitions: {split: names of recordings}."""
    named = {f"{split}_recordings": names for split, names in (partitions or {}).items()}
    return config.Preparation(
        **{"dataset": dataset, "clip": config.Clip(4, 2), **named, **settings}
    )


def gold_standard(recording: str, target: str, times: np.ndarray = TIMES) -> np.ndarray:
    """Returns the gold standard at some times, rounded to 0.01.

    It differs between recordings and targets.
    """
    phase = sum(f"{recording} {target}".encode()) % 17
    return np.round(0.6 * np.sin(3 * np.asarray(times) + phase) + 0.1, 2)


def raters(
    recording: str, target: str, offsets=(0.05, -0.05, 0.2, -0.2, 0.11, -0.11)
) -> np.ndarray:
    """Returns ratings [R, raters] whose gold standard is `gold_standard`: the offsets cancel."""
    return gold_standard(recording, target)[:, np.newaxis] + np.array(offsets)


def recola_own(folder: pathlib.Path, *videos: pathlib.Path) -> None:
    """Writes P16 and P19 of RECOLA's own release."""
    for k, name in enumerate(("P16", "P19")):
        for target in TARGETS:
            rows = ["time;FM1 ;FM2;FM3;FF1;FF2;FF3 "]
            for time, values in zip(TIMES, raters(name, target)):
                rows.append(";".join([f"{time:.2f}", *(f"{value:.2f}" for value in values)]))
            _write(folder / f"RECOLA-Annotation/emotional_behaviour/{target}/{name}.csv", rows)
        _film(folder / f"RECOLA-Video-recordings/{name}.mp4", videos, k)


def recola_centred(folder: pathlib.Path, *videos: pathlib.Path) -> None:
    """Writes P16 and P19 of RECOLA's CCC-centred ratings, whose files have no header."""
    for k, name in enumerate(("P16", "P19")):
        for target in TARGETS:
            values = gold_standard(name, target)
            rows = [f"{time:.2f},{value:.2f}" for time, value in zip(TIMES, values)]
            path = f"Ratings_affective_behaviour_CCC_centred/{target}/{name}.csv"
            _write(folder / path, rows)
        _film(folder / f"Video_recordings_MP4/{name}.mp4", videos, k)


def recola_avec_2016(folder: pathlib.Path, *videos: pathlib.Path) -> None:
    """Writes train_1 and dev_1 of AVEC 2015 and 2016, with the individual raters' files."""
    for k, name in enumerate(("train_1", "dev_1")):
        _avec(folder / "ratings_gold_standard", folder / "ratings_individual", name)
        _film(folder / f"recordings_video/{name}.mp4", videos, k)


def recola_avec_2018(folder: pathlib.Path, *videos: pathlib.Path) -> None:
    """Writes train_2 and dev_2 of AVEC 2018, with two different gold standards."""
    for k, name in enumerate(("train_2", "dev_2")):
        _avec(folder / "labels/gs_1", folder / "labels/individual", name)
        _avec(folder / "labels/gs_2", folder / "labels/individual", name, -1.0)
        _film(folder / f"recordings_video/{name}.mp4", videos, k)


def recordings(folder: pathlib.Path, *videos: pathlib.Path) -> None:
    """Writes a list of two recordings: anna with a gold standard, and ben with two raters."""
    listed = ["recording,video,split,ratings,camera"]
    for k, (name, split) in enumerate((("anna", "train"), ("ben", "dev"))):
        listed.append(f"{name},videos/{name}.mp4,{split},ratings/{name}.csv,left")
        _film(folder / f"videos/{name}.mp4", videos, k)
    _write(folder / "recordings.csv", listed)
    columns = [f"{gold_standard('anna', t)[k]:.2f}" for k in range(len(TIMES)) for t in TARGETS]
    rows = [
        f"{time:.2f},{valence},{arousal},x"
        for time, valence, arousal in zip(TIMES, columns[::2], columns[1::2])
    ]
    _write(folder / "ratings/anna.csv", ["time,valence,arousal,comment", *rows])
    rated = np.concatenate([raters("ben", t, (0.05, -0.05)) for t in TARGETS], axis=1)
    rows = [
        ";".join([f"{time:.2f}".replace(".", ","), *(f"{v:.2f}".replace(".", ",") for v in values)])
        for time, values in zip(TIMES, rated)
    ]
    header = "time;valence_kim;valence_lee;arousal_kim;arousal_lee"
    _write(folder / "ratings/ben.csv", [header, *rows])


def write_avi(path: pathlib.Path, images: Sequence[np.ndarray], frame_rate: float) -> pathlib.Path:
    """Encodes pictures, uint8 RGB [H, W, 3], as an AVI file."""
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
    """Returns a smooth series [count] in [-0.8, 0.8], a different one for each seed."""
    return 0.8 * np.sin(np.arange(count) / 5 + seed)


def avec2012(
    folder: pathlib.Path,
    *videos: pathlib.Path,
    sessions: Sequence[str] = ("train001", "train002", "devel001", "test001"),
    labels: int = 24,
    targets: Sequence[str] = ("arousal", "expectancy", "power", "valence"),
) -> pathlib.Path:
    """Writes AVEC2012's labels and videos.

    The labels are `curve(labels, k + 10 d)` for the session at index k and the target at index d.
    """
    for k, session in enumerate(sessions):
        split, number = session[:-3], session[-3:]
        label_folder = folder / "emotion labels" / split / f"FC_{split}_labels"
        label_folder.mkdir(parents=True, exist_ok=True)
        for d, target in enumerate(targets):
            lines = "".join(f"{value:.6f}\n" for value in curve(labels, k + 10 * d))
            (label_folder / f"labels_continuous_{session}_{target}.dat").write_text(lines)
        copy = folder / "video" / f"{split}_video{number}.avi"
        _film(copy, videos, k)
    return folder


def semaine(
    folder: pathlib.Path,
    *videos: pathlib.Path,
    users: Mapping[str, str] = {"1": "3", "2": "3", "13": "7", "14": "9"},
    lengths: Sequence[int] = (24, 20),
    dimensions: str = "AVPE",
) -> pathlib.Path:
    """Writes SEMAINE's sessions: a video, and a trace for each rater and dimension.

    The trace of rater r, for the session at index k and the dimension at index d, has lengths[r]
    values, one every 0.02 s: `curve(lengths[r], k + 10 d + 0.1 r)`. `users` gives the id of the
    user in each session.
    """
    for k, (session, user) in enumerate(users.items()):
        session_folder = folder / "Sessions" / session
        session_folder.mkdir(parents=True)
        listed = []
        for d, dimension in enumerate(dimensions):
            for r, length in enumerate(lengths):
                name = f"R{r + 1}S{session}TUCPoD{dimension}.txt"
                values = curve(length, k + 10 * d + 0.1 * r)
                rows = (f"{0.02 * i:.2f} {value:.6f}\n" for i, value in enumerate(values))
                (session_folder / name).write_text("".join(rows))
                # session.xml also lists the operator's traces, which are not needed.
                listed += [name, name.replace("TUC", "TOC")]
        annotations = "".join(f'<annotation type="FeelTrace" filename="{n}"/>' for n in listed)
        (session_folder / "session.xml").write_text(
            '<?xml version="1.0"?>\n'
            f'<session sessionId="{session}" recording="1" character="Poppy">\n'
            f'<subject id="99" role="Operator"/>\n<subject id="{user}" role="User"/>\n'
            f'<track type="AV" filename="a.avi">{annotations}</track>\n'
            f'<track type="Audio" filename="a.wav">{annotations}</track>\n</session>\n'
        )
        stamp = "2008.12.05.16.03.15"
        _film(session_folder / f"{stamp}_User_AV_lowQ_Poppy.avi", videos, k)
        (session_folder / f"{stamp}_Operator_AV_lowQ_Poppy.avi").touch()
    return folder


def afew_va(
    folder: pathlib.Path,
    images: Sequence[np.ndarray],
    clips: Sequence[str] = ("001", "002", "003", "004"),
    actors: Sequence[str | None] = ("A", "A", "B", "C"),
) -> pathlib.Path:
    """Writes AFEW-VA's clips.

    The clip at index k has the pictures darkened by k, arousal k, and valence i % 21 - 10 in
    picture i.
    """
    for k, (clip, actor) in enumerate(zip(clips, actors, strict=True)):
        (folder / clip).mkdir(parents=True)
        for i, image in enumerate(images):
            darker = cv2.subtract(image[..., ::-1], (k, k, k, 0))
            cv2.imwrite(str(folder / clip / f"{i:05d}.png"), darker)
        frames = {
            f"{i:05d}": {"valence": i % 21 - 10, "arousal": k, "landmarks": [[1.0, 2.0]] * 68}
            for i in range(len(images))
        }
        credit = {} if actor is None else {"actor": actor}
        content = {**credit, "frames": frames, "video_id": clip}
        (folder / clip / f"{clip}.json").write_text(json.dumps(content))
    return folder


def _avec(gold: pathlib.Path, individual: pathlib.Path, name: str, sign: float = 1.0) -> None:
    header = ["@relation GOLDSTANDARD", "", "@attribute Instance_name string"]
    header += [
        "@attribute frameTime numeric",
        "@attribute GoldStandard numeric",
        "",
        "",
        "@data",
        "",
    ]
    for target in TARGETS:
        values = sign * gold_standard(name, target)
        rows = [f"{name},{time:.4g},{value:.6f}" for time, value in zip(TIMES, values)]
        _write(gold / target / f"{name}.arff", header + rows)
        rows = ["time;FM1;FM2;FM3;FF1;FF2;FF3"]
        for time, rated in zip(TIMES, raters(name, target)):
            rows.append(";".join(f"{number:.2f}" for number in (time, *rated)))
        _write(individual / target / f"{name}.csv", rows)


def _write(path: pathlib.Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _film(path: pathlib.Path, videos: Sequence[pathlib.Path], k: int) -> None:
    """Writes the video of the recording at index k."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if videos:
        shutil.copyfile(videos[k % len(videos)], path)
    else:
        path.touch()
