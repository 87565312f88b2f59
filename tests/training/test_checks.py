"""Records that are refused before training, and those that cause a warning."""

import dataclasses
import logging

import numpy as np
import pytest

from ast_net import config, errors
from ast_net.records import example_format
from ast_net.training import checks, runs

TIMES = np.arange(100) / 25  # 4 s


@dataclasses.dataclass
class FakeRecords:
    """Records of recordings of 4 s: {split: {name: (content, labels [T, 2], face [T])}}."""

    contents: dict
    targets: tuple[str, ...] = config.TARGETS
    time_step: float = 0.4

    @property
    def splits(self):
        return {split: list(part) for split, part in self.contents.items()}

    def frames(self, split):
        for name, (_, labels, face) in self.contents[split].items():
            yield example_format.RecordingFrames(name, TIMES, face, labels)

    def sums(self, split):
        for content, _, face in self.contents[split].values():
            total = np.array([1.0, content]) * face.sum()
            yield {"total": total, "squares": total * content}


def recording(content, labels=None, face=True):
    if labels is None:
        labels = np.stack([np.sin(TIMES + content), np.cos(TIMES + content)], axis=1)
    labels = np.broadcast_to(np.asarray(labels, np.float32), (len(TIMES), 2))
    return content, labels, np.broadcast_to(face, len(TIMES))


def check(contents, caplog, delay=(0.0,), frames=5):
    """Returns the warnings for a clip of `frames` frames, 0.4 s apart."""
    settings = config.Experiment(
        clip=config.Clip(frames, 10), reaction_delay=config.ReactionDelay(delay)
    )
    with caplog.at_level(logging.WARNING, logger="absl"):
        checks.check(FakeRecords(contents), settings)
    return [record.getMessage() for record in caplog.records]


def test_ordinary_recordings_pass_without_a_warning(caplog):
    test = {"P3": recording(3, np.nan)}
    contents = {"train": {"P1": recording(1)}, "dev": {"P2": recording(2)}, "test": test}
    assert check(contents, caplog, (0.4, 1.2)) == []


@pytest.mark.parametrize("partitions", [("train", "dev"), ("train", "test"), ("dev", "test")])
def test_the_same_recording_in_two_partitions_is_refused(partitions, caplog):
    contents = {split: {f"{split}1": recording(len(split))} for split in ("train", "dev")}
    contents["test"] = {"test1": recording(7)}
    for split in partitions:
        contents[split][f"{split}9"] = recording(9)
    one, two = partitions
    with pytest.raises(
        errors.InputError, match=f"{one}9 in {one} and {two}9 in {two} show the same video"
    ):
        check(contents, caplog)


def test_the_same_recording_twice_in_a_partition_causes_a_warning(caplog):
    train = {"P1": recording(1), "P2": recording(8), "P3": recording(1)}
    warnings = check({"train": train, "dev": {"P4": recording(4)}}, caplog)
    assert warnings == ["train: P1 and P3 show the same video"]


def test_recordings_without_a_face_are_not_duplicates(caplog):
    hidden = {"P8": recording(1, face=False)}, {"P9": recording(2, face=False)}
    contents = {
        "train": {"P1": recording(1), **hidden[0]},
        "dev": {"P2": recording(2), **hidden[1]},
    }
    assert check(contents, caplog) == []


@pytest.mark.parametrize("split", ["train", "dev"])
def test_less_than_one_clip_of_rated_faces_is_refused(split, caplog):
    """A clip of 5 frames lasts 1.6 s; two recordings have a face for 0.84 s each, then 0.72 s."""

    def contents(shown):
        faces = {"face": np.arange(len(TIMES)) < shown}
        cut = {"P3": recording(3, **faces), "P4": recording(4, **faces)}
        return {"train": {"P1": recording(1)}, "dev": {"P2": recording(2)}, split: cut}

    assert check(contents(21), caplog) == []
    with pytest.raises(errors.InputError, match=f"^{split}: only 1.4 s .* valence, but .* 1.6 s"):
        check(contents(18), caplog)


def test_a_delay_as_long_as_the_recordings_is_refused(caplog):
    contents = {"train": {"P1": recording(1)}, "dev": {"P2": recording(2)}}
    with pytest.raises(
        errors.InputError, match="train: only 0.0 s .* rating of arousal 9.5 s later"
    ):
        check(contents, caplog, (0.0, 9.5))
    # The last frame is at 3.96 s, so 41 frames (to 1.60 s) have a later rating, then 38 (1.48 s).
    assert check(contents, caplog, (2.36,)) == []
    with pytest.raises(errors.InputError, match="`reaction_delay`"):
        check(contents, caplog, (2.48,))


def test_each_target_is_checked_separately(caplog):
    half = recording(1)[1].copy()
    half[:, 1] = np.nan
    contents = {"train": {"P1": recording(1, half)}, "dev": {"P2": recording(2)}}
    with pytest.raises(errors.InputError, match="train: only 0.0 s .* rating of arousal"):
        check(contents, caplog)


def test_constant_ratings_cause_a_warning_and_are_refused_if_dev_has_no_others(caplog):
    flat = recording(2)[1].copy()
    flat[:, 0] = 0.25
    train = {"P1": recording(1), "P3": recording(3, flat)}
    warnings = check({"train": train, "dev": {"P2": recording(2, flat)}}, caplog)
    assert warnings == [
        "train: the ratings of valence are constant in P3, so it has no CC",
        "dev: the ratings of valence are constant in P2, so it has no CC",
    ]
    with pytest.raises(
        errors.InputError, match="dev: no recording has ratings that change.*`dev_recordings`"
    ):
        check({"train": train, "dev": {"P2": recording(2, 0.25)}}, caplog)


def test_dev_needs_a_recording_that_is_rated_for_a_clip(caplog):
    """A clip of 5 frames lasts 1.6 s: 40 frames have no CC, 41 frames do."""

    def contents(rated):
        labels = recording(3)[1].copy()
        labels[rated:] = np.nan
        dev = {f"P{content}": recording(content, labels) for content in (3, 4, 5)}
        return {"train": {"P1": recording(1)}, "dev": dev}

    assert check(contents(41), caplog) == []
    with pytest.raises(errors.InputError, match="dev: no recording has ratings .* clip, 1.6 s"):
        check(contents(40), caplog)


def test_ratings_that_vary_only_without_a_face_are_constant(caplog):
    labels = np.where(np.arange(len(TIMES)) < 50, 0.1, np.sin(TIMES))[:, np.newaxis]
    face = np.arange(len(TIMES)) < 50
    contents = {"train": {"P1": recording(1)}, "dev": {"P2": recording(2, labels, face)}}
    with pytest.raises(errors.InputError, match="dev: no recording has ratings that change"):
        check(contents, caplog)


def test_a_run_without_usable_frames_is_refused_before_it_claims_its_workdir(
    planted_recola, tmp_path
):
    folder = planted_recola("a", {f"P{number}": 0.0 for number in range(1, 4)})
    settings = config.Experiment(
        dataset="recola",
        data_dir=str(tmp_path / "data"),
        workdir=str(tmp_path / "run"),
        manual_dir=str(folder),
        train_recordings=("P1", "P2"),
        dev_recordings=("P3",),
        clip=config.Clip(40, 10),  # 15.6 s
        reaction_delay=config.ReactionDelay((9.5,)),  # of 16 s
    )
    with pytest.raises(
        errors.InputError, match="train: .* valence 9.5 s later, but one clip lasts"
    ):
        runs.train_and_evaluate(settings)
    assert not (tmp_path / "run").exists()
