"""Defines every setting once: name, default, bounds, unit and help text, in frozen dataclasses."""

import dataclasses
import math
import re
from typing import Any

# Names, because they stand in nearly every line below.
from ast_net.fields import Bounds, Settings, require, setting, text_of

TARGETS = ("valence", "arousal")
# Some data sets also rate expectancy and power. Targets are always in this order.
ALL_TARGETS = (*TARGETS, "expectancy", "power")
SPLITS = ("train", "dev", "test")
# Seconds of ratings that records keep after each segment. Raters lag by one to four seconds.
MAX_REACTION_DELAY = 10.0
# The lowest and the highest rating; 0 is neutral.
RATING_SCALE = (-1.0, 1.0)
DATASETS = {
    "demo": "generated recordings, nothing to download",
    "recola": "RECOLA, as released by its authors or for the AVEC challenges of 2015 to 2018",
    "avec2012": "the AVEC 2012 challenge, recordings from SEMAINE",
    "semaine": "SEMAINE, sessions rated with FeelTrace",
    "afew_va": "AFEW-VA, short clips from films",
    "recordings": "your own videos and ratings, listed in recordings.csv",
    "ferplus_trajectories": "synthetic recordings made of FER2013's faces and FER+'s votes",
}
BACKBONES = ("compact", "vgg16")
RUNTIMES = ("tensorflow", "openvino")
PRECISIONS = ("auto", "float32", "bfloat16", "int8")
# The file that `predict` writes for each output. JSON lines go to standard output instead.
OUTPUTS = {
    "csv": "predictions.csv",
    "seconds": "seconds.csv",
    "parquet": "predictions.parquet",
    "openface": "openface.csv",
    "elan": "elan.eaf",
    "figure": "figure.png",
    "video": "annotated.mp4",
    "jsonl": "",
    "window": "",
}
# The same for photographs; the others are only for films.
PHOTOGRAPH_OUTPUTS = {
    "csv": OUTPUTS["csv"],
    "parquet": OUTPUTS["parquet"],
    "video": "annotated",
    "jsonl": "",
}
# The file that `predict` writes with a row for each input.
SUMMARY = "summary.csv"
# The file in each input's folder that says what its results were made from.
RECORD = "prediction.json"
# The losses that the paper's Table 1 compares, in its order, as sums of terms.
TABLE_1 = (
    "La",
    "T",
    "La+T",
    "La+S",
    "La+T+S",
    "La+T+G",
    "La+T+Lo",
    "La+Lo+G",
    "La+T+Lo+G",
    "La+T+Lo+G+S",
)
# The losses that appear only in the paper's Figure 2.
FIGURE_2 = ("La+T+G+S", "La+T+Lo+S")
WHOLE_LOSS = TABLE_1[-1]
BASELINES = ("mean", "ridge")
# The rows that `reproduce` compares.
ROWS = (*TABLE_1, *FIGURE_2, "CCC", *BASELINES)
# Choices of flags that may also be written without a value: --NAME for true, --noNAME for false.
SWITCH = ("auto", "true", "false")
# Values of `mixed_precision`.
ARITHMETICS = (*SWITCH, "bfloat16", "float16")
EXPORT_FORMATS = ("saved_model", "onnx", "openvino", "litert")


_NATURAL, _NOT_NEGATIVE, _POSITIVE = Bounds(1), Bounds(0), Bounds(0, open="(")
_FRACTION, _PART, _SEED = Bounds(0, 1, "()"), Bounds(0, 1, ")"), Bounds(0, 2**32 - 1)
_PORT = Bounds(0, 65535)


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Size of an aligned face and positions of its eyes, in pixels.

    Section 3.1 aligns faces by the eyes but gives no positions. At these positions MTCNN finds the
    eyes of FER2013's pictures if a picture fills the middle 192 pixels of the crop
    (tools/measure_framing.py). So faces from videos are as large as those the CNN was trained on.
    """

    size: int = 224
    left_eye: tuple[float, float] = (75.0, 90.0)
    right_eye: tuple[float, float] = (148.0, 90.0)


class Tracking(Settings, kw_only=False):
    """Face detection and tracking."""

    redetect_every: float = setting(
        1.0, "Time between two detections while a face is being tracked.", _POSITIVE, "seconds"
    )
    search_every: float = setting(
        0.12, "Time between two detections while there is no face.", _POSITIVE, "seconds"
    )
    min_confidence: float = setting(
        0.9, "Minimum confidence; anything below does not count as a face.", _FRACTION
    )
    min_face_fraction: float = setting(
        0.1, "Size of the smallest face to detect, relative to the frame's shorter side.", _FRACTION
    )


class Cache(Settings):
    """Cache."""

    data_dir: str = setting(
        "data",
        "Folder for records, face tracks and converted networks, made once and reused.",
        identity=False,
    )


class DataFolders(Cache):
    """Location of the data set."""

    manual_dir: str | None = setting(
        None,
        "Folder of your recordings, or of the data set as its owners distribute it. Not needed for "
        "demo.",
        identity=False,
    )


class DataSource(DataFolders):
    """Data set."""

    dataset: str | None = setting(None, "Name of the data set.", choices=DATASETS)
    train_recordings: tuple[str, ...] = setting(
        (),
        "Names of the recordings to train on. With `dev_recordings` and `test_recordings` they "
        "replace the data set's own split, which is the default.",
    )
    dev_recordings: tuple[str, ...] = setting(
        (), "Names of the recordings that select the best epoch."
    )
    test_recordings: tuple[str, ...] = setting((), "Names of the recordings to test on.")
    video_pattern: str | None = setting(
        None,
        "Path pattern of the video files, for data sets that do not fix their names (avec2012, "
        "semaine), such as **/{split}*{number}.avi.",
    )
    rating_scale: tuple[float, ...] = setting(
        RATING_SCALE,
        "Lowest and highest rating that your raters could give, such as 1,9. The ratings are "
        "mapped to the range from -1 to 1, and the middle of the scale, 5, to 0. Only for "
        "recordings.",
    )
    max_rating_gap: float = setting(
        1.0,
        "Longest gap between two ratings that is interpolated. In longer gaps a rating holds for "
        "half a rating step on either side, but for no more than half of this value; frames "
        "farther away count as unrated.",
        _POSITIVE,
        "seconds",
    )

    def check(self) -> None:
        scale = self.rating_scale
        require(
            len(scale) == 2 and -math.inf < scale[0] < scale[1] < math.inf,
            "`rating_scale` must be the lowest and the highest rating, such as 1,9, found "
            f"{text_of(scale) or 'nothing'}",
        )

    @property
    def partitions(self) -> dict[str, tuple[str, ...]]:
        """The recordings of each split that were given; empty to use the data set's own split."""
        named = {split: getattr(self, f"{split}_recordings") for split in SPLITS}
        return {split: names for split, names in named.items() if names}


class Runtime(Settings, kw_only=False):
    """Computation of the CNN."""

    name: str = setting(
        "tensorflow",
        "Library that runs the CNN. openvino is an optional dependency.",
        flag="runtime",
        choices=RUNTIMES,
    )
    precision: str = setting(
        "auto",
        "Numerical precision of the CNN. auto selects the fastest one for this machine, but "
        "float32 to prepare data with compact. int8 needs `runtime=openvino`.",
        choices=PRECISIONS,
    )

    def check(self) -> None:
        require(
            self.precision != "int8" or self.name == "openvino",
            f"`precision=int8` is not available with `runtime={self.name}`: give "
            "`runtime=openvino` or another `precision`",
        )


# Gives the same features on every machine, up to rounding.
FLOAT32 = Runtime("tensorflow", "float32")


class Clip(Settings, kw_only=False):
    """Training clips (section 3.1: 50 frames, every 10th)."""

    frames: int = setting(50, "Number of frames in a clip (N).", Bounds(2), "frames", "clip_frames")
    stride: int = setting(
        10,
        "Distance between consecutive frames of a clip, in frames at the usual frame rate (S).",
        _NATURAL,
        "frames",
        "clip_stride",
    )

    def seconds(self, time_step: float) -> float:
        """Returns the time from a clip's first frame to its last, for frames `time_step` apart."""
        return (self.frames - 1) * time_step


class Backbone(Settings):
    """CNN that computes the features (section 3.2)."""

    backbone: str = setting(
        "compact",
        "CNN to use: compact is small and comes with weights; vgg16 is the paper's and needs "
        "`backbone_weights`.",
        choices=BACKBONES,
    )
    # Not part of a run's identity: records and model.json hold the digest of the file's content.
    backbone_weights: str | None = setting(
        None,
        "Weights file of the CNN: one that finetune wrote, or VGG-Face's. Default: the weights of "
        "compact that come with the package.",
        identity=False,
    )


class Preparation(Backbone, DataSource):
    """Content of the records."""

    targets: tuple[str, ...] = setting(
        TARGETS,
        "Targets to learn, in this order. Expectancy and power need a data set that rates them.",
        choices=ALL_TARGETS,
    )
    clip: Clip = Clip()
    runtime: Runtime = Runtime()

    def check(self) -> None:
        super().check()
        in_order = tuple(target for target in ALL_TARGETS if target in self.targets)
        require(
            bool(self.targets) and self.targets == in_order,
            f"`targets` must name each target at most once, in the order {','.join(ALL_TARGETS)}, "
            f"found {','.join(self.targets) or 'none'}",
        )


class Messages(Settings):
    """Messages."""

    verbose: bool = setting(
        False,
        "Also show the messages of TensorFlow and other libraries, and the traceback of an error.",
        identity=False,
    )


class Devices(Settings):
    """Where and how TensorFlow computes."""

    device: str = setting(
        "auto",
        "What computes: the processor (cpu), all GPUs (gpu), or some of them, counted from 0 "
        "(gpu:1 or gpu:0,1). auto takes the GPUs if TensorFlow finds any, else the processor.",
        identity=False,
    )
    memory_growth: bool = setting(
        True,
        "Take a GPU's memory bit by bit, as it is needed, instead of nearly all of it at once.",
        identity=False,
    )
    tf32: bool = setting(
        True,
        "Let GPUs round the factors of float32 products to 10 bits (TensorFloat-32), which is "
        "faster.",
        identity=False,
    )
    deterministic: bool = setting(
        False,
        "Use only operations that give the same result to the last bit in every run on the same "
        "machine; they are slower.",
        identity=False,
    )

    def check(self) -> None:
        require(
            re.fullmatch(r"auto|cpu|gpu(:\d{1,3}(,\d{1,3})*)?", self.device, re.ASCII) is not None,
            f"`device` must be auto, cpu, gpu, or numbers of GPUs such as gpu:0,1, found "
            f"{self.device}",
        )


class BeamOptions(Settings):
    """Work on a cluster."""

    beam_pipeline_options: str | None = setting(
        None,
        "Spreads the recordings, videos or runs by Apache Beam, with these pipeline options, such "
        "as runner=DaskRunner,dask_client_address=HOST:8786. Default: without Beam, on this "
        "machine.",
    )


class Description(Settings):
    """Output."""

    output_dir: str | None = setting(
        None, "Folder for tables and figures. Default: DATA_DIR/description/DATASET."
    )
    faces: int = setting(
        24, "Number of faces on each recording's page; 0 for no pages.", _NOT_NEGATIVE
    )


class ReactionDelay(Settings, kw_only=False):
    """Reaction delay of the raters."""

    seconds: tuple[float, ...] | str | None = setting(
        None,
        "Seconds by which the ratings lag behind the face: one number for all targets, one for "
        "each target, or auto to estimate it on the training recordings. Default: depends on the "
        "data set, 0 for most.",
        Bounds(0, MAX_REACTION_DELAY),
        "seconds",
        "reaction_delay",
        words={"auto": "auto"},
    )
    origin: str = setting(
        "given",
        "Whether the delay was given or found by estimation.",
        flag="reaction_delay_origin",
        choices=("given", "found"),
        identity=False,
        derived=True,
    )

    def per_target(self, targets: int) -> tuple[float, ...]:
        """Returns the delay of each target, in seconds.

        Raises:
          ValueError: the delay is not known yet.
        """
        if not isinstance(self.seconds, tuple):
            raise ValueError(f"the reaction delay is still {self.seconds}, expected numbers")
        return self.seconds * targets if len(self.seconds) == 1 else self.seconds


class StackedLSTM(Settings, kw_only=False):
    """Temporal model (section 4.3: two stacked layers of 50 and 40 cells)."""

    units: tuple[int, ...] = setting(
        (50, 40), "Number of cells in each LSTM layer, first to last.", _NATURAL, "", "lstm_units"
    )

    def check(self) -> None:
        require(bool(self.units), "`lstm_units` must name at least one layer, found none")


def _weight(default: float, help: str, flag: str) -> Any:
    return setting(default, help, _NOT_NEGATIVE, flag=flag)


class LossWeights(Settings, kw_only=False):
    """Loss; a weight of 0 switches a term off (section 4.3: w1 = w2 = w3 = 10, lambda = 1000)."""

    label: float = _weight(
        1.0,
        "Weight of the label loss: the error of the predictions themselves (equation 2).",
        "label_weight",
    )
    trend: float = _weight(
        10.0,
        "Weight of the trend loss: the error of the change from one frame of a clip to the next "
        "(w1, equation 3).",
        "trend_weight",
    )
    local: float = _weight(
        10.0,
        "Weight of the local loss: the error of the range within each interval of a clip "
        "(w2, equation 4).",
        "local_weight",
    )
    global_: float = _weight(
        10.0,
        "Weight of the global loss: the error of the range over a whole clip (w3, equation 5).",
        "global_weight",
    )
    siamese: float = _weight(
        1000.0,
        "Weight of the Siamese loss: the error of the change from a clip to its twin clip, one "
        "frame later (lambda, equation 6).",
        "siamese_weight",
    )
    ccc: float = _weight(
        0.0,
        "Weight of 1 minus the concordance correlation coefficient, which is not in the paper.",
        "ccc_weight",
    )
    num_intervals: int = setting(
        5,
        "Number of intervals that the local loss divides a clip into (M in equation 4; the paper "
        "gives no value).",
        _NATURAL,
        flag="local_intervals",
    )

    def check(self) -> None:
        require(
            self.label + self.trend + self.local + self.global_ + self.siamese + self.ccc > 0,
            "the weights of all loss terms are 0, expected one above 0: for example, give "
            "`label_weight=1`",
        )


class Arithmetic(Settings):
    """Speed and precision of training."""

    jit_compile: str = setting(
        "auto",
        "Whether XLA compiles the training step (true, or the bare flag). auto: on one GPU.",
        choices=SWITCH,
        identity=False,
    )
    mixed_precision: str = setting(
        "auto",
        "Arithmetic of large matrix products: float32 (false), bfloat16, float16, or the better of "
        "these two for the machine (true, or the bare flag). auto: true on GPUs that have fast "
        "ones, false on others and on processors. A run that is continued keeps what it began "
        "with.",
        choices=ARITHMETICS,
    )


class Training(Arithmetic):
    """Training of the temporal model (the paper names no optimizer; the defaults are ours)."""

    mixed_precision: str = setting(
        "auto",
        "Arithmetic of the products with the features: float32 (false), bfloat16, float16, or the "
        "better of these two for the machine (true, or the bare flag). auto: float32, because this "
        "network is too small to gain. A run that is continued keeps what it began with.",
        choices=ARITHMETICS,
    )
    epochs: int = setting(100, "Maximum number of epochs.", _NATURAL, identity=False)
    batch_size: int = setting(32, "Number of pairs of twin clips in a batch.", _NATURAL)
    learning_rate: float = setting(2e-3, "Learning rate of the Adam optimizer.", _POSITIVE)
    warmup_epochs: int = setting(
        5,
        "Number of epochs over which the weights of the local, global and Siamese losses rise "
        "from 0 to their full values; 0 for full weights from the start.",
        _NOT_NEGATIVE,
    )
    patience: int = setting(
        10,
        "Training stops after this many epochs without a better score on the dev recordings.",
        _NATURAL,
        identity=False,
    )
    select_by: str = setting(
        "cc",
        "Score that selects the best epoch: the mean correlation (cc) or the mean concordance "
        "correlation (ccc) of the dev recordings.",
        choices=("cc", "ccc"),
    )
    learning_rate_schedule: str = setting(
        "constant",
        "Learning rate over the epochs: constant, or falling to 0 along a cosine.",
        choices=("constant", "cosine"),
    )
    gradient_clip: float = setting(
        0.0,
        "Maximum norm of the gradient; a longer gradient is scaled down to it. 0 for no limit.",
        _NOT_NEGATIVE,
    )
    clip_hop: int = setting(
        5,
        "Distance between the starts of neighbouring training clips, in frames at the usual frame "
        "rate.",
        _NATURAL,
        "frames",
    )
    feature_dropout: float = setting(
        0.0,
        "Fraction of the features that are set to 0, the same ones throughout a pair of twin "
        "clips. Useful when the data show few different faces.",
        _PART,
    )
    seed: int = setting(0, "Random seed of the initial weights and the order of the clips.", _SEED)


class Study(Preparation):
    """Data set, features, temporal model and training."""

    reaction_delay: ReactionDelay = ReactionDelay()
    lstm: StackedLSTM = StackedLSTM()
    training: Training = Training()
    loss: LossWeights = LossWeights()

    def check(self) -> None:
        super().check()
        require(
            not self.loss.local or self.loss.num_intervals <= self.clip.frames,
            f"`clip_frames={self.clip.frames}` is less than the {self.loss.num_intervals} "
            "intervals of the local loss: give more `clip_frames` or lower `local_intervals`",
        )
        seconds = self.reaction_delay.seconds
        require(
            not isinstance(seconds, tuple) or len(seconds) in (1, len(self.targets)),
            f"`reaction_delay` must be one number, or one for each of {', '.join(self.targets)}, "
            f"found {text_of(seconds)}",
        )


class Experiment(Study):
    """Run."""

    workdir: str | None = setting(
        None,
        "Folder of the run. If it holds a run, that run is continued. Default: runs/DATASET.",
        identity=False,
    )


class Reproduction(Study):
    """Runs for the paper's tables."""

    workdir: str | None = setting(
        None, "Folder for all runs and the report. Default: runs/reproduce-DATASET."
    )
    seeds: int = setting(
        5, "Number of runs of each row. Their random seeds count up from `seed`.", _NATURAL
    )
    rows: tuple[str, ...] = setting(
        (),
        f"Rows to compare, some of {', '.join(ROWS)}. These are sums of loss terms (La: label, T: "
        "trend, Lo: local, G: global, S: Siamese), 1 - CCC as the only loss, and two baselines: "
        "the mean rating, and ridge regression on the features. Default: all.",
    )
    folds: int | None = setting(
        None,
        "Number of folds for cross-validation over all recordings, or over all subjects if the "
        "data set names them. Each fold is the test set once; the next fold selects the epoch, "
        "and the others are trained on. Default: no cross-validation, but the data set's split.",
        Bounds(3),
    )
    workers: int | None = setting(
        None,
        "Number of runs to train at the same time. Default: one on each GPU; 2 without GPUs.",
        _NATURAL,
    )

    def check(self) -> None:
        super().check()
        unknown = [row for row in self.rows if row not in ROWS]
        require(
            not unknown,
            f"`rows` must be some of {', '.join(ROWS)}, found {', '.join(unknown)}",
        )


class RunModel(Settings):
    """Model."""

    workdir: str | None = setting(
        None,
        "Folder of the run whose model is used. Default: the model that comes with the package.",
    )
    model: str = setting(
        "best",
        "Which of the run's models: that of the best or of the last epoch.",
        choices=("best", "last"),
    )

    def check(self) -> None:
        require(
            self.workdir is not None or self.model == "best",
            f"`model={self.model}` is for a run: give its `workdir`, or leave `model` out",
        )


class WholeModel(RunModel):
    """CNN of the model."""

    backbone_weights: str | None = setting(
        None, "Weights file of the CNN. Default: the file that the model was trained with."
    )


class Evaluation(WholeModel):
    """Recordings to evaluate on, and output."""

    split: str = setting("dev", "Partition of the data set to evaluate on.", choices=SPLITS)
    output_dir: str | None = setting(
        None,
        "Folder for the results. Default: evaluation/DATASET_SPLIT in the workdir, or in "
        "runs/included for the included model; an earlier evaluation there is replaced.",
    )


class Finetuning(Arithmetic, Backbone, DataFolders):
    """Training of the CNN on discrete expressions. The paper gives no numbers; these are ours."""

    dataset: str | None = setting(
        None,
        "Data set: FER2013 with its own labels, or with ten people's votes (FER+).",
        choices=("fer2013", "ferplus"),
    )
    workdir: str | None = setting(
        None, "Folder of the run. Default: runs/DATASET-BACKBONE.", identity=False
    )
    backbone_weights: str | None = setting(
        None,
        "Weights file of the CNN to begin with: what finetune left, whose head goes on as well if "
        "it has the same expressions, or one of VGG-Face's files. Default: random weights, for "
        "compact only.",
        identity=False,
    )
    epochs: int = setting(40, "Number of epochs; the weights of the best are kept.", _NATURAL)
    batch_size: int = setting(64, "Pictures in a batch.", _NATURAL)
    learning_rate: float = setting(
        0.05, "Highest learning rate of SGD's cosine schedule.", _POSITIVE
    )
    warmup_epochs: int = setting(
        2, "Number of first epochs over which the learning rate rises from 0.", _NOT_NEGATIVE
    )
    frozen_epochs: int = setting(
        0, "Number of first epochs that train only the head.", _NOT_NEGATIVE
    )
    frozen_stages: int = setting(
        0,
        "Number of first stages of the CNN that keep their weights; pooling ends a stage.",
        _NOT_NEGATIVE,
    )
    weight_decay: float = setting(5e-3, "Decoupled weight decay.", _NOT_NEGATIVE)
    label_smoothing: float = setting(
        0.1, "Fraction of each label that is spread over all classes.", _PART
    )
    dropout: float = setting(0.5, "Dropout between the features and the head.", _PART)
    ema: float = setting(0.999, "Decay of the weights' moving average; 0 for none.", _PART)
    logit_adjustment: float = setting(
        0.0,
        "Strength of the adjustment for unequal classes: 0 learns their shares of the training "
        "pictures, 1 counts all as equally frequent, so that rare ones are found more often.",
        _NOT_NEGATIVE,
    )
    seed: int = setting(0, "Seed of the initial weights and the pictures' order.", _SEED)

    def check(self) -> None:
        for name in ("warmup_epochs", "frozen_epochs"):
            value = getattr(self, name)
            require(
                value < self.epochs,
                f"`{name}` must be less than the {self.epochs} `epochs`, found {value}",
            )


class Inputs(Settings):
    """Input."""

    video: tuple[str, ...] = setting(
        (),
        "Video file, folder, pattern such as 'talks/*.mp4', or sequence of pictures such as "
        "'talk/%05d.png'. May be repeated; names without a flag mean the same.",
        repeated=True,
    )
    recursive: bool = setting(False, "Also predict the videos in the folders of a folder.")
    pictures: str | None = setting(
        None,
        "What the pictures of a folder or a pattern are: one film of 25 frames/s, in which the "
        "number in a name is the frame's time (sequence), or photographs that have nothing to do "
        "with each other (separate). Default: a film if the names differ only in a running number.",
        choices=("sequence", "separate"),
    )
    camera: str | None = setting(
        None, "Number of a camera, such as 0, or address of a stream; instead of `video`."
    )
    max_seconds: float | None = setting(
        None,
        "Seconds after which the camera is switched off. Default: it runs until Ctrl-C or q.",
        _POSITIVE,
        "seconds",
    )
    workers: int = setting(
        1,
        "Number of inputs to predict at the same time, each in a process of its own, which takes "
        "about 1 GB. One process keeps two cores busy, so more pay on machines with more cores.",
        _NATURAL,
    )

    def check(self) -> None:
        require(
            self.camera is None or not self.video,
            "`video` and `camera` exclude each other: give one of them",
        )
        require(
            self.camera is None or self.pictures is None,
            "`pictures` is for `video`: leave it out, or give `video=FOLDER` instead of `camera`",
        )
        require(
            self.camera is None or not (self.recursive or self.workers > 1),
            "`recursive` and `workers` are for videos: leave them out, or give `video=FOLDER` "
            "instead of `camera`",
        )
        require(
            self.camera is not None or self.max_seconds is None,
            "`max_seconds` is for a camera: leave it out, or give `camera=0`",
        )


class Outputs(Settings):
    """Output."""

    output_dir: str = setting("predictions", "Folder for the results. Each input gets a subfolder.")
    outputs: tuple[str, ...] = setting(
        ("csv", "figure", "video"),
        "Results to write: a table of all frames (csv, parquet, openface: with OpenFace's names), "
        "a table of the means of each second, annotations for ELAN, a figure over time, the "
        "annotated video, a JSON object for each frame on standard output (jsonl), or a window on "
        "the screen.",
        choices=OUTPUTS,
    )
    decimal_comma: bool = setting(
        False,
        "Write predictions.csv, seconds.csv and summary.csv with decimal commas and semicolons, "
        "for Excel or LibreOffice in German, French and other languages that use these.",
    )
    posteriors: bool = setting(False, "Also write the probabilities of the expressions.")
    landmarks: bool = setting(
        False,
        "Also write where eyes, nose and corners of the mouth are, to csv, parquet and jsonl.",
    )
    overwrite: bool = setting(
        False,
        "Predict again what is finished, and replace results of another input with the same name.",
    )

    def check(self) -> None:
        require(bool(self.outputs), f"`outputs` must be some of {', '.join(OUTPUTS)}, found none")

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files to write for each input."""
        return tuple(file for name, file in OUTPUTS.items() if file and name in self.outputs)

    @property
    def only_files(self) -> bool:
        """Whether all outputs are files, which an earlier call may have written."""
        return all(OUTPUTS[name] for name in self.outputs)

    @property
    def images(self) -> bool:
        """Whether an output shows the frames themselves."""
        return not {"video", "window"}.isdisjoint(self.outputs)


class Prediction(Settings):
    """Face tracking and prediction."""

    inference: str = setting(
        "stream",
        "How long the LSTM keeps its state: over the whole recording (stream), or until the end of "
        "a clip, as in training (clip).",
        choices=("stream", "clip"),
    )
    max_faces: int | None = setting(
        1,
        "Maximum number of faces to follow at a time, the most prominent ones.",
        _NATURAL,
        words={"all": None},
    )
    identity_seconds: float = setting(
        2.0,
        "Longest absence after which a returning face keeps its face_id.",
        _NOT_NEGATIVE,
        "seconds",
    )
    hold_seconds: float = setting(
        0.5,
        "How long the last prediction is repeated after a face disappears.",
        _NOT_NEGATIVE,
        "seconds",
    )
    batch_faces: int = setting(
        32, "Number of faces in a batch for the CNN; for files, not for a camera.", _NATURAL
    )
    every: int = setting(
        1,
        "Predict only every Nth frame of a video, to be faster; a camera's are all predicted.",
        _NATURAL,
    )

    def check(self) -> None:
        require(
            self.hold_seconds <= self.identity_seconds,
            f"`hold_seconds` must be at most `identity_seconds` ({self.identity_seconds:g}), found "
            f"{self.hold_seconds:g}",
        )


class PageServer(Settings):
    """Page."""

    port: int = setting(
        8765, "Port of the page on this machine (http://127.0.0.1:PORT); 0 for any.", _PORT
    )
    max_upload: float = setting(2.0, "Size of the largest video.", _POSITIVE, "gigabytes")
    posteriors: bool = setting(True, "Also show the probabilities of the expressions.")
    browser: bool = setting(True, "Open the page in the browser.")


class PagePrediction(Prediction):
    """Face tracking and prediction."""

    max_faces: int | None = setting(
        None,
        "Maximum number of faces to follow at a time, the most prominent ones. Default: all.",
        _NATURAL,
        words={"all": None},
    )


class Networks(WholeModel, Cache):
    """Trained networks, and the computation of the CNN."""

    runtime: Runtime = Runtime()


class Export(WholeModel):
    """Export."""

    export_dir: str | None = setting(
        None,
        "New folder for the exported model. Of a saved_model, the folder's name is the version "
        "number. Default: models/ast_net/1 for saved_model, models/ast_net_FORMAT for the others.",
    )
    format: str = setting(
        "saved_model",
        "File format. TensorFlow Serving reads saved_model.",
        choices=EXPORT_FORMATS,
    )
    cnn: bool = setting(
        True, "Export the CNN with the temporal model. Without it, the inputs are features."
    )
    precision: str = setting(
        "auto",
        "Numerical precision of the CNN. auto means float32.",
        choices=("auto", "float32", "bfloat16"),
    )
