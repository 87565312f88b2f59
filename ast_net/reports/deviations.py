"""What differs from the paper, or is not said in it: a page of the report."""

from collections.abc import Iterator
from typing import NamedTuple

from ast_net import config


class Deviation(NamedTuple):
    """A place of the paper, what it says there, and what was done."""

    place: str
    paper: str
    here: str


_ALWAYS = (
    Deviation(
        "3.1",
        "faces are detected, cropped and aligned by the eyes; the detector is not named",
        "MTCNN, whose last network follows a face between detections; eyes at fixed places of 224x224",
    ),
    Deviation(
        "3.1",
        "frames without a face are not mentioned",
        "they keep their place: the LSTM's state stays, and no loss counts them",
    ),
    Deviation(
        "3.2, 4.1",
        "FER2013 has seven classes; six labels are mentioned once",
        "all seven, neutral among them",
    ),
    Deviation(
        "3.4, equation 3",
        "a sum over i = 1..N of differences to the frame before",
        "a clip's first frame has none before it: N - 1 differences, still over 2N",
    ),
    Deviation(
        "3.4, equation 6",
        "differences to the frame i - 1, of two clips",
        "differences between a clip and its twin, one frame later",
    ),
    Deviation(
        "3.4",
        "the losses are of one number",
        "of all targets at once, summed: one model predicts them together",
    ),
    Deviation(
        "4.2",
        "CC over all frames of a video",
        "over all rated frames; while no face is seen the last prediction stands. A constant "
        "prediction "
        "has CC 0",
    ),
    Deviation(
        "4.3",
        "how a whole video is predicted from clips of 50 frames is not said",
        "frame by frame, causally: the LSTM's state runs on over the recording at the clips' "
        "time step",
    ),
    Deviation(
        "4.4",
        "the numbers of runs and seeds are not given, nor any test",
        "means over seeds, Wilcoxon's signed-rank test over recordings with Holm's correction",
    ),
)


def deviations(study: config.Study, delays: list[float]) -> Iterator[Deviation]:
    """Yields what was done otherwise than in the paper, or is not said there.

    Args:
      study: the settings of the runs.
      delays: seconds by which the ratings were moved, of each target.
    """
    yield from _ALWAYS
    training, loss, clip = study.training, study.loss, study.clip
    if study.backbone == "vgg16":
        yield Deviation(
            "3.2",
            "VGG-16; what lies above fc6 during fine-tuning is not said",
            "fc6 is the last layer but one: the seven classes are read from it directly",
        )
        yield Deviation(
            "4.3",
            "FER2013's pictures are resized to 224x224",
            "to the middle 192x192, with a mirrored margin, so that faces are as large as in the "
            "videos",
        )
    else:
        yield Deviation(
            "3.2",
            "VGG-16, pre-trained on VGG-Face, fine-tuned on FER2013, 4096 features",
            f"`{study.backbone}`, a small CNN trained on FER2013 alone (`backbone=vgg16` is the "
            "paper's)",
        )
    if study.dataset != "avec2012":
        yield Deviation("4.1", "AVEC2012 and RECOLA", f"`dataset={study.dataset}`")
    if (clip.frames, clip.stride) != (50, 10):
        yield Deviation(
            "3.1", "clips of 50 frames, every 10th", f"{clip.frames} frames, every {clip.stride}th"
        )
    yield Deviation(
        "3.1",
        "every 10th frame, whatever the frame rate",
        "a time: that of as many frames at the data set's usual rate",
    )
    if study.lstm.units != (50, 40):
        shown = ", ".join(map(str, study.lstm.units))
        yield Deviation("4.3", "two LSTM layers of 50 and 40 cells", f"of {shown}")
    if any(delays):
        shown = ", ".join(f"{delay:g} s" for delay in delays)
        yield Deviation("1", "labels are not moved by a delay", f"moved by {shown} (each target)")
    yield Deviation(
        "3.4, equation 4",
        "the number of intervals, M, is not given",
        f"M = {loss.num_intervals}",
    )
    weights = (loss.label, loss.trend, loss.local, loss.global_, loss.siamese)
    if weights != (1, 10, 10, 10, 1000):
        shown = ", ".join(f"{weight:g}" for weight in weights)
        yield Deviation(
            "4.3",
            "w1 = w2 = w3 = 10, lambda = 1000",
            f"weights of label, trend, local, global and Siamese term where a row has it: {shown}",
        )
    if training.warmup_epochs:
        yield Deviation(
            "4.3",
            "the weights are constant",
            "those of the local, global and Siamese term rise from 0 over "
            f"{training.warmup_epochs} epochs; "
            "no earlier epoch is chosen in a row that has one of them",
        )
    clipped = f", gradients up to {training.gradient_clip:g}" if training.gradient_clip else ""
    yield Deviation(
        "4.3",
        "optimiser, learning rate, batch, number of epochs and choice of the model are not given",
        f"Adam at {training.learning_rate:g} ({training.learning_rate_schedule}){clipped}, "
        "batches of "
        f"{training.batch_size} pairs, at most {training.epochs} epochs, the one with the best "
        f"{training.select_by.upper()} on dev, patience {training.patience}",
    )
    yield Deviation(
        "4.3",
        "which clips an epoch has is not said",
        f"one beginning in every {training.clip_hop} frames, another in each epoch",
    )
    if training.feature_dropout:
        yield Deviation(
            "4.3", "no dropout is mentioned", f"{training.feature_dropout:g} of the features are 0"
        )
