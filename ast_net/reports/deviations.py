"""Lists what differs from the paper or is not described in it: the last table of the report."""

from collections.abc import Iterator
from typing import NamedTuple

from ast_net import config


class Deviation(NamedTuple):
    """A section of the paper, what it says, and what this package does."""

    section: str
    paper: str
    package: str


_ALWAYS = (
    Deviation(
        "3.1",
        "faces are detected, cropped and aligned by the eyes; the detector is not named",
        "MTCNN detects faces, and its last network follows them between detections; the eyes are "
        "moved to fixed points of 224x224 pixels",
    ),
    Deviation(
        "3.1",
        "frames without a face are not mentioned",
        "they stay in the sequence: the LSTM keeps its state, and the loss ignores them",
    ),
    Deviation(
        "3.2, 4.1",
        "FER2013 has seven classes; one sentence mentions six labels",
        "all seven classes, including neutral",
    ),
    Deviation(
        "3.4, equation 3",
        "a sum over i = 1..N of differences from the previous frame",
        "the first frame of a clip has no previous frame: N - 1 differences, still divided by 2N",
    ),
    Deviation(
        "3.4, equation 6",
        "differences from frame i - 1, between two clips",
        "differences between a clip and its twin clip, one frame later",
    ),
    Deviation(
        "3.4",
        "the losses are defined for one target",
        "the losses of all targets are added, since one model predicts them together",
    ),
    Deviation(
        "4.2",
        "CC over all frames of a video",
        "over all rated frames; while no face is visible, the last prediction is held. A constant "
        "prediction has a CC of 0",
    ),
    Deviation(
        "4.3",
        "how a model trained on clips of 50 frames predicts a whole video is not described",
        "frame by frame and causally: the LSTM's state is carried through the recording, at the "
        "time step of the clips",
    ),
    Deviation(
        "4.4",
        "no number of runs or seeds, and no significance test",
        "means over seeds; Wilcoxon's signed-rank test over recordings with Holm's correction",
    ),
)


def deviations(study: config.Study, delays: list[float]) -> Iterator[Deviation]:
    """Yields what differs from the paper or is not described in it.

    Args:
      study: the settings of the runs.
      delays: the reaction delay of each target, in seconds.
    """
    yield from _ALWAYS
    training, loss, clip = study.training, study.loss, study.clip
    if study.backbone == "vgg16":
        yield Deviation(
            "3.2",
            "VGG-16; the layers above fc6 during fine-tuning are not described",
            "fc6 is the last layer but one, followed by the output layer with the seven classes",
        )
        yield Deviation(
            "4.3",
            "FER2013's pictures are resized to 224x224",
            "they are resized to the central 192x192 pixels, with a mirrored margin, so that faces "
            "are as large as in the videos",
        )
    else:
        yield Deviation(
            "3.2",
            "VGG-16, pre-trained on VGG-Face, fine-tuned on FER2013, 4096 features",
            f"`{study.backbone}`, a small CNN trained on FER2013's pictures alone "
            "(`--backbone=vgg16` is the paper's CNN)",
        )
    if study.dataset != "avec2012":
        yield Deviation("4.1", "AVEC2012 and RECOLA", f"`--dataset={study.dataset}`")
    if (clip.frames, clip.stride) != (50, 10):
        yield Deviation(
            "3.1", "clips of 50 frames, every 10th", f"{clip.frames} frames, every {clip.stride}th"
        )
    yield Deviation(
        "3.1",
        "every 10th frame, whatever the frame rate",
        "a fixed time step: the duration of as many frames at the data set's usual frame rate",
    )
    if study.lstm.units != (50, 40):
        shown = ", ".join(map(str, study.lstm.units))
        yield Deviation("4.3", "two LSTM layers of 50 and 40 cells", f"layers of {shown} cells")
    if any(delays):
        shown = ", ".join(f"{delay:g} s" for delay in delays)
        yield Deviation(
            "1", "labels are not shifted by a reaction delay", f"shifted by {shown} (each target)"
        )
    yield Deviation(
        "3.4, equation 4",
        "the number of intervals M is not given",
        f"M = {loss.num_intervals}",
    )
    weights = (loss.label, loss.trend, loss.local, loss.global_, loss.siamese)
    if weights != (1, 10, 10, 10, 1000):
        shown = ", ".join(f"{weight:g}" for weight in weights)
        yield Deviation(
            "4.3",
            "w1 = w2 = w3 = 10, lambda = 1000",
            "weights of the label, trend, local, global and Siamese terms, in the rows that have "
            f"them: {shown}",
        )
    if training.warmup_epochs:
        yield Deviation(
            "4.3",
            "the weights are constant",
            "the weights of the local, global and Siamese terms rise from 0 over "
            f"{training.warmup_epochs} epochs; a row with one of these terms chooses its epoch "
            "among the later ones",
        )
    clipped = (
        f", gradient norms clipped at {training.gradient_clip:g}" if training.gradient_clip else ""
    )
    yield Deviation(
        "4.3",
        "optimiser, learning rate, batch size, number of epochs and choice of the model are not "
        "given",
        f"Adam with learning rate {training.learning_rate:g} ({training.learning_rate_schedule})"
        f"{clipped}; batches of {training.batch_size} pairs of twin clips; at most "
        f"{training.epochs} epochs, of which the one with the best {training.select_by.upper()} on "
        f"dev is chosen; patience of {training.patience} epochs",
    )
    yield Deviation(
        "4.3",
        "which clips make up an epoch is not described",
        f"one clip starts in every {training.clip_hop} frames, at a different frame in each epoch",
    )
    if training.feature_dropout:
        yield Deviation(
            "4.3",
            "no dropout is mentioned",
            f"a share of {training.feature_dropout:g} of the features is set to 0",
        )
