"""Every setting once: name, default, bounds, unit and help, in frozen dataclasses that check them.

`cli` makes flags from these fields and fields from flags. A field's flag has the field's name unless
its metadata says otherwise; error messages call a setting by its flag, in backquotes.
"""

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar

from ast_net import errors

TARGETS = ("valence", "arousal")
# Some data sets have ratings of more; targets are always given in this order.
ALL_TARGETS = (*TARGETS, "expectancy", "power")
SPLITS = ("train", "dev", "test")
DATASETS = {
    "demo": "generated recordings, no download",
    "recola": "RECOLA, its own release and those of AVEC 2015 to 2018",
    "avec2012": "the AVEC 2012 challenge, on SEMAINE",
    "semaine": "SEMAINE's sessions, rated with FeelTrace",
    "afew_va": "AFEW-VA's clips of films",
    "recordings": "your own videos and ratings",
    "fer2013_trajectories": "FER2013's faces along made-up trajectories",
}
BACKBONES = ("compact", "vgg16")
RUNTIMES = ("tensorflow", "openvino")
PRECISIONS = ("auto", "float32", "bfloat16", "int8")
# The file that each output of `predict` leaves; JSON lines go to standard output.
OUTPUTS = {
    "csv": "predictions.csv",
    "parquet": "predictions.parquet",
    "figure": "figure.png",
    "video": "annotated.mp4",
    "jsonl": "",
    "window": "",
}
# The losses of the paper's Table 1, in its order, as sums of their terms.
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
# And those of its Figure 2.
FIGURE_2 = ("La+T+G+S", "La+T+Lo+S")
WHOLE_LOSS = TABLE_1[-1]
BASELINES = ("mean", "ridge")
# What `reproduce` compares.
ROWS = (*TABLE_1, *FIGURE_2, "CCC", *BASELINES)
EXPORT_FORMATS = ("saved_model", "onnx", "openvino", "litert")


class Bounds(NamedTuple):
    """The range of a number; `open` says which ends are not part of it: "", "(", ")" or "()"."""

    low: float
    high: float = math.inf
    open: str = ""

    def __contains__(self, value: object) -> bool:
        """Whether a number is in the range; NaN never is."""
        if not isinstance(value, int | float):
            return False
        above = self.low < value if "(" in self.open else self.low <= value
        return above and (value < self.high if ")" in self.open else value <= self.high)

    def __str__(self) -> str:
        low = f"more than {self.low:g}" if "(" in self.open else f"at least {self.low:g}"
        if self.high == math.inf:
            return low
        return f"{low} and {'less than' if ')' in self.open else 'at most'} {self.high:.10g}"


def setting(
    default: Any,
    help: str,
    bounds: Bounds | None = None,
    unit: str = "",
    flag: str | None = None,
    choices: Any = None,
    words: Mapping[str, Any] = types.MappingProxyType({}),
    identity: bool = True,
    repeated: bool = False,
    derived: bool = False,
) -> Any:
    """Returns a dataclass field with all that is known about a setting.

    Args:
      default: the default.
      help: what it does, for people; without unit and default, which `--help` adds.
      bounds: of a number, or of each number of a tuple.
      unit: of a number, such as seconds.
      flag: its name on the command line, if it is not the field's.
      choices: the values that are allowed, or the elements of a tuple.
      words: further values by the word that stands for them, as {"all": None}.
      identity: whether another value makes another run (`differences`).
      repeated: whether the flag is given once for each element, as names of files may have commas.
      derived: whether it stands in run.flags but is not for people to give.
    """
    metadata = {"help": help, "bounds": bounds, "unit": unit, "flag": flag, "choices": choices}
    metadata |= {"words": words, "identity": identity, "repeated": repeated, "derived": derived}
    return dataclasses.field(default=default, metadata=metadata)


@typing.dataclass_transform(frozen_default=True, kw_only_default=True)
class Settings:
    """A group of settings, a frozen dataclass of `setting`s and of other groups.

    The values are checked when they are made.

    Raises:
      InputError: a value is out of its bounds, or not one of its choices.
    """

    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field]]

    def __init_subclass__(cls, kw_only: bool = True) -> None:
        dataclasses.dataclass(frozen=True, kw_only=kw_only)(cls)

    def __post_init__(self) -> None:
        for leaf in settings_of(self):
            _check_value(leaf)
        self.check()

    def check(self) -> None:
        """Checks what concerns several settings together."""


_Settings = TypeVar("_Settings", bound=Settings)


class Leaf(NamedTuple):
    """A setting: its field, its value, and the group that defines it."""

    field: dataclasses.Field
    value: Any
    group: type[Settings]

    @property
    def name(self) -> str:
        """Its name on the command line."""
        return flag_name(self.field)

    @property
    def hint(self) -> Any:
        """Its type; the first of a union, which is never None here."""
        hint: Any = self.field.type
        return typing.get_args(hint)[0] if isinstance(hint, types.UnionType) else hint


def settings_of(group: Settings) -> Iterator[Leaf]:
    """Yields the settings of a group and of the groups in it."""
    for field in dataclasses.fields(group):
        value = getattr(group, field.name)
        if isinstance(value, Settings):
            yield from settings_of(value)
        else:
            owner = next(c for c in type(group).__mro__ if field.name in inspect.get_annotations(c))
            yield Leaf(field, value, owner)


def flag_name(field: dataclasses.Field) -> str:
    """A setting's name on the command line."""
    return field.metadata["flag"] or field.name


def values(settings: Settings) -> dict[str, Any]:
    """The values of all settings by the names of their flags."""
    return {leaf.name: leaf.value for leaf in settings_of(settings)}


def changed(settings: _Settings, values: Mapping[str, Any]) -> _Settings:
    """Settings with values, or words for them, by the names of their flags; others are passed over.

    Raises:
      InputError: the values do not go together.
    """
    changes = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, Settings):
            changes[field.name] = changed(value, values)
        elif flag_name(field) in values:
            given = values[flag_name(field)]
            words = field.metadata["words"] if isinstance(given, str) else {}
            changes[field.name] = words.get(given, given)
    return dataclasses.replace(settings, **changes)


def differences(there: _Settings, here: _Settings) -> Iterator[tuple[str, Any, Any]]:
    """Yields the name and both values of each setting in which two runs are not the same run.

    A run's epochs may grow, unless they decide its learning rate.
    """
    scheduled = values(here).get("learning_rate_schedule", "constant") != "constant"
    for before, now in zip(settings_of(there), settings_of(here), strict=True):
        identity = now.field.metadata["identity"] or (scheduled and now.name == "epochs")
        if identity and before.value != now.value:
            yield now.name, before.value, now.value


def text_of(value: Any) -> str:
    """A value as it is given on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _check_value(leaf: Leaf) -> None:
    value, metadata = leaf.value, leaf.field.metadata
    if value is None or (isinstance(value, str) and value in metadata["words"]):
        return
    bounds, choices = metadata["bounds"], metadata["choices"]
    values = value if isinstance(value, tuple) else (value,)
    for element in values:
        if bounds is not None and element not in bounds:
            expected = f"{bounds} {metadata['unit']}".strip()
        elif choices is not None and element not in choices:
            expected = f"{'some' if values is value else 'one'} of {', '.join(choices)}"
        elif isinstance(element, str) and len(element.splitlines()) > 1:
            expected = "a single line"
        else:
            continue
        raise errors.InputError(f"`{leaf.name}` must be {expected}, found {text_of(value)}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise errors.InputError(message)


_NATURAL, _NOT_NEGATIVE, _POSITIVE = Bounds(1), Bounds(0), Bounds(0, open="(")
_FRACTION, _PART, _SEED = Bounds(0, 1, "()"), Bounds(0, 1, ")"), Bounds(0, 2**32 - 1)


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Where a face lies in its crop, in pixels (section 3.1 aligns by the eyes; the places are ours).

    The eyes lie where MTCNN finds them in FER2013's pictures, when these are the middle 192 pixels of
    the crop (tools/measure_framing.py), so that a CNN sees faces in videos as large as those it was
    trained on.
    """

    size: int = 224
    left_eye: tuple[float, float] = (75.0, 90.0)
    right_eye: tuple[float, float] = (148.0, 90.0)


class Tracking(Settings, kw_only=False):
    """When faces are detected anew, and when a followed face counts as lost."""

    redetect_every: float = setting(
        1.0, "Between two detections, with a face.", _POSITIVE, "seconds"
    )
    search_every: float = setting(
        0.12, "Between two detections, without a face.", _POSITIVE, "seconds"
    )
    min_confidence: float = setting(0.9, "Least probability of a face.", _FRACTION)
    min_face_fraction: float = setting(
        0.1, "Smallest face looked for, as a part of the picture's shorter side.", _FRACTION
    )


class Cache(Settings):
    """What is kept between calls."""

    data_dir: str = setting(
        "data", "Folder for records, face tracks and int8 networks.", identity=False
    )


class Places(Cache):
    """Where the data set lies."""

    manual_dir: str | None = setting(
        None, "Folder of the data set, as its owners release it.", identity=False
    )


class DataSource(Places):
    """The data set."""

    dataset: str | None = setting(None, "The data set.", choices=DATASETS)
    train_recordings: tuple[str, ...] = setting(
        (), "Recordings to train on. Default: its own split."
    )
    dev_recordings: tuple[str, ...] = setting((), "Recordings to choose the best epoch by.")
    test_recordings: tuple[str, ...] = setting((), "Recordings to test on.")
    video_pattern: str | None = setting(
        None, "Names of the video files where a data set leaves them open: **/{split}*{number}.avi."
    )
    max_rating_gap: float = setting(
        1.0,
        "Longest gap between two ratings that is interpolated. In a longer gap only frames within half "
        "a rating step of a rating, and half of this, are rated.",
        _POSITIVE,
        "seconds",
    )

    @property
    def partitions(self) -> dict[str, tuple[str, ...]]:
        """The recordings of each split as they were asked for; empty for the data set's own split."""
        named = {split: getattr(self, f"{split}_recordings") for split in SPLITS}
        return {split: names for split, names in named.items() if names}


class Runtime(Settings, kw_only=False):
    """How the CNN is computed; the paper does not say."""

    name: str = setting("tensorflow", "What runs the CNN.", flag="runtime", choices=RUNTIMES)
    precision: str = setting(
        "auto",
        "Precision of the CNN. int8 needs `runtime=openvino`; auto takes what is fastest on this "
        "machine, but float32 for the records of compact.",
        choices=PRECISIONS,
    )

    def check(self) -> None:
        _require(
            self.precision != "int8" or self.name == "openvino",
            f"`precision=int8` is not available with `runtime={self.name}`: give "
            "`runtime=openvino`, or another `precision`",
        )


# Features that are the same on every machine but for rounding.
FLOAT32 = Runtime("tensorflow", "float32")


class Clip(Settings, kw_only=False):
    """Clips (section 3.1: N = 50 frames, every 10th)."""

    frames: int = setting(50, "Frames of a clip (N).", Bounds(2), "frames", "clip_frames")
    stride: int = setting(10, "Distance of a clip's frames (S).", _NATURAL, "frames", "clip_stride")

    @property
    def span(self) -> int:
        """Frames of the recording from a clip's first frame to its last, both included."""
        return (self.frames - 1) * self.stride + 1


class Backbone(Settings):
    """The CNN (section 3.2)."""

    backbone: str = setting("compact", "The CNN that the features come from.", choices=BACKBONES)
    # Records and model.json hold the digest of its content.
    backbone_weights: str | None = setting(
        None,
        "Weights file of the CNN: what finetune leaves, or one of VGG-Face's files. Default: the "
        "weights that come with the package.",
        identity=False,
    )


class Preparation(Backbone, DataSource):
    """What records hold."""

    targets: tuple[str, ...] = setting(TARGETS, "What to learn.", choices=ALL_TARGETS)
    clip: Clip = Clip()
    runtime: Runtime = Runtime()

    def check(self) -> None:
        in_order = tuple(target for target in ALL_TARGETS if target in self.targets)
        _require(
            bool(self.targets) and self.targets == in_order,
            f"`targets` must be named once each, in the order {','.join(ALL_TARGETS)}, found "
            f"{','.join(self.targets)}",
        )


class BeamOptions(Settings):
    """Preparing on several cores, or on a cluster."""

    beam_pipeline_options: str | None = setting(
        None, "Have Apache Beam make the recordings, as runner=FlinkRunner,parallelism=8."
    )


class Description(Settings):
    """What describe writes."""

    output_dir: str | None = setting(
        None, "Folder for tables and figures. Default: DATA_DIR/description/DATASET."
    )
    faces: int = setting(24, "Faces on each recording's page; 0 for no pages.", _NOT_NEGATIVE)


class ReactionDelay(Settings, kw_only=False):
    """The raters' reaction delay."""

    seconds: tuple[float, ...] | str | None = setting(
        None,
        "Time by which ratings lag behind the face: one number, one for each target, or auto to find "
        "it on the training recordings. Default: the data set's own, 0 for most.",
        Bounds(0, 10),
        "seconds",
        "reaction_delay",
        words={"auto": "auto"},
    )
    origin: str = setting(
        "given",
        "Whether the delay was given or found.",
        flag="reaction_delay_origin",
        choices=("given", "found"),
        identity=False,
        derived=True,
    )

    def each(self, targets: int) -> tuple[float, ...]:
        """The delay of each target, in seconds.

        Raises:
          ValueError: it is still to be found.
        """
        if not isinstance(self.seconds, tuple):
            raise ValueError(f"the reaction delay is still {self.seconds}")
        return self.seconds * targets if len(self.seconds) == 1 else self.seconds


class StackedLSTM(Settings, kw_only=False):
    """The temporal model (section 4.3: two stacked layers of 50 and 40 cells)."""

    units: tuple[int, ...] = setting(
        (50, 40), "Cells of each LSTM layer.", _NATURAL, "", "lstm_units"
    )

    def check(self) -> None:
        _require(bool(self.units), "`lstm_units` must name at least one layer, found none")


def _weight(default: float, help: str, flag: str) -> Any:
    return setting(default, help, _NOT_NEGATIVE, flag=flag)


class LossWeights(Settings, kw_only=False):
    """The loss (section 4.3: w1 = w2 = w3 = 10, lambda = 1000). A weight of 0 switches a term off."""

    label: float = _weight(1.0, "Weight of the label term (equation 2).", "label_weight")
    trend: float = _weight(10.0, "Weight of the trend term (w1; equation 3).", "trend_weight")
    local: float = _weight(10.0, "Weight of the local term (w2; equation 4).", "local_weight")
    global_: float = _weight(10.0, "Weight of the global term (w3; equation 5).", "global_weight")
    siamese: float = _weight(
        1000.0, "Weight of the Siamese term (lambda; equation 6).", "siamese_weight"
    )
    ccc: float = _weight(0.0, "Weight of 1 - CCC, which is not in the paper.", "ccc_weight")
    num_intervals: int = setting(
        5,
        "Number of local-loss intervals (M in equation 4; the paper gives none).",
        _NATURAL,
        flag="local_intervals",
    )

    def check(self) -> None:
        _require(
            self.label + self.trend + self.local + self.global_ + self.siamese + self.ccc > 0,
            "the weights of all loss terms are 0: give at least one, such as `label_weight=1`",
        )


class Arithmetic(Settings):
    """How training is computed."""

    jit_compile: bool = setting(False, "Compile the training step with XLA.", identity=False)
    mixed_precision: bool = setting(False, "Compute matrix products in bfloat16.")


class Training(Arithmetic):
    """Training of the temporal model. The paper gives no optimizer; these numbers are ours."""

    epochs: int = setting(100, "Maximum number of epochs.", _NATURAL, identity=False)
    batch_size: int = setting(32, "Pairs of twin clips in a batch.", _NATURAL)
    learning_rate: float = setting(2e-3, "Learning rate of the Adam optimizer.", _POSITIVE)
    warmup_epochs: int = setting(
        5, "Epochs over which the weights of the constraining terms rise.", _NOT_NEGATIVE
    )
    patience: int = setting(
        10,
        "Epochs without a better CC before training stops.",
        _NATURAL,
        identity=False,
    )
    select_by: str = setting(
        "cc", "What chooses the best epoch: the mean CC or CCC on dev.", choices=("cc", "ccc")
    )
    learning_rate_schedule: str = setting(
        "constant",
        "Whether the learning rate stays, or falls to 0 over the epochs along a cosine.",
        choices=("constant", "cosine"),
    )
    gradient_clip: float = setting(
        0.0, "Longest gradient; longer ones are shortened to it. 0 for no limit.", _NOT_NEGATIVE
    )
    clip_hop: int = setting(5, "Distance between clips' starts.", _NATURAL, "frames")
    feature_dropout: float = setting(
        0.0, "Part of the features set to 0 in a pair of clips, for data with few faces.", _PART
    )
    seed: int = setting(0, "Seed of the initial weights and the order of the clips.", _SEED)


class Study(Preparation):
    """A data set, its features, and the model trained on them."""

    reaction_delay: ReactionDelay = ReactionDelay()
    lstm: StackedLSTM = StackedLSTM()
    training: Training = Training()
    loss: LossWeights = LossWeights()

    def check(self) -> None:
        super().check()
        _require(
            not self.loss.local or self.loss.num_intervals <= self.clip.frames,
            f"`clip_frames={self.clip.frames}` has no frame for each of the "
            f"{self.loss.num_intervals} intervals of the local loss: lower `local_intervals`",
        )
        seconds = self.reaction_delay.seconds
        _require(
            not isinstance(seconds, tuple) or len(seconds) in (1, len(self.targets)),
            f"`reaction_delay` must be one number, or one for each of {', '.join(self.targets)}, "
            f"found {seconds}",
        )


class Experiment(Study):
    """A run."""

    workdir: str | None = setting(None, "Folder of the run. Default: runs/DATASET.", identity=False)


class Reproduction(Study):
    """The runs that the paper's tables are made of."""

    workdir: str | None = setting(
        None, "Folder of all runs and of the report. Default: runs/reproduce-DATASET."
    )
    seeds: int = setting(5, "Runs of each loss, with the seeds from `seed` on.", _NATURAL)
    rows: tuple[str, ...] = setting(
        (),
        f"What to compare, some of {', '.join(ROWS)}: sums of loss terms (La: label, T: trend, Lo: local, "
        "G: global, S: Siamese), 1 - CCC alone, the mean rating, and ridge regression on the features. "
        "Default: all.",
    )
    folds: int | None = setting(
        None,
        "Number of parts that all recordings are dealt to, by subject where he is known. In turn one part "
        "is tested, the next chooses the epoch, the others train. Default: the partitions.",
        Bounds(3),
    )
    workers: int = setting(2, "Number of runs side by side.", _NATURAL)

    def check(self) -> None:
        super().check()
        unknown = [row for row in self.rows if row not in ROWS]
        _require(
            not unknown,
            f"`rows` must be some of {', '.join(ROWS)}, found {', '.join(unknown)}",
        )


class RunModel(Settings):
    """The model."""

    workdir: str | None = setting(
        None, "Folder of a run. Default: the model that comes with the package."
    )
    model: str = setting("best", "Which of the run's models.", choices=("best", "last"))


class WholeModel(RunModel):
    """The model, with its CNN."""

    backbone_weights: str | None = setting(
        None, "Weights file of the CNN. Default: the file that the model was trained with."
    )


class Evaluation(WholeModel):
    """What is evaluated."""

    split: str = setting("dev", "The recordings to evaluate on.", choices=SPLITS)


class Finetuning(Arithmetic, Backbone, Places):
    """Training of the CNN on discrete expressions. The paper gives no numbers; these are ours."""

    dataset: str | None = setting(
        None,
        "The data set: FER2013 with its labels, or FER+, ten people's votes on its pictures.",
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
        "Number of the CNN's first stages that keep their weights; a stage ends with a pooling.",
        _NOT_NEGATIVE,
    )
    weight_decay: float = setting(5e-3, "Decoupled weight decay.", _NOT_NEGATIVE)
    label_smoothing: float = setting(
        0.1, "Fraction of each label that is spread over all classes.", _PART
    )
    dropout: float = setting(0.5, "Dropout between the features and the head.", _PART)
    ema: float = setting(0.999, "Decay of the weights' moving average; 0 for none.", _PART)
    class_weights: bool = setting(False, "Whether rare expressions weigh more in the loss.")
    seed: int = setting(0, "Seed of the initial weights and the pictures' order.", _SEED)

    def check(self) -> None:
        for name in ("warmup_epochs", "frozen_epochs"):
            value = getattr(self, name)
            _require(
                value < self.epochs,
                f"`{name}` must be less than the {self.epochs} `epochs`, found {value}",
            )


class Inputs(Settings):
    """What is predicted."""

    video: tuple[str, ...] = setting(
        (),
        "A video, a folder, a pattern such as 'talks/*.mp4', or pictures such as 'talk/%05d.png'. "
        "May be repeated.",
        repeated=True,
    )
    camera: str | None = setting(None, "A camera's number, or the address of a stream.")
    max_seconds: float | None = setting(
        None, "Time after which the camera is switched off. Default: Ctrl-C.", _POSITIVE, "seconds"
    )

    def check(self) -> None:
        _require(
            self.camera is None or not self.video,
            "`video` and `camera` exclude each other: give one of them",
        )
        _require(
            self.camera is not None or self.max_seconds is None,
            "`max_seconds` is for a camera: leave it out, or give `camera=0`",
        )


class Outputs(Settings):
    """What is written."""

    output_dir: str = setting("predictions", "Folder that gets a folder for each input.")
    outputs: tuple[str, ...] = setting(
        ("csv", "figure", "video"), "What to write; jsonl is for standard output.", choices=OUTPUTS
    )
    posteriors: bool = setting(False, "Also write the probabilities of the expressions.")

    def check(self) -> None:
        _require(bool(self.outputs), f"`outputs` must be some of {', '.join(OUTPUTS)}, found none")

    @property
    def images(self) -> bool:
        """Whether the pictures themselves are needed."""
        return not {"video", "window"}.isdisjoint(self.outputs)


class Prediction(Settings):
    """Faces in time."""

    inference: str = setting(
        "stream",
        "Whether the LSTM's state runs on over the whole recording (stream), or starts anew with "
        "every clip, as in training (clip).",
        choices=("stream", "clip"),
    )
    max_faces: int | None = setting(
        1, "Maximum number of faces followed, the most prominent.", _NATURAL, words={"all": None}
    )
    identity_seconds: float = setting(
        2.0, "Time away that keeps a face's id.", _NOT_NEGATIVE, "seconds"
    )
    hold_seconds: float = setting(
        0.5, "Time that a prediction stands after its face is gone.", _NOT_NEGATIVE, "seconds"
    )
    batch_faces: int = setting(32, "Faces of a file that pass through the CNN at once.", _NATURAL)

    def check(self) -> None:
        _require(
            self.hold_seconds <= self.identity_seconds,
            f"`hold_seconds` must be at most `identity_seconds` ({self.identity_seconds:g}), found "
            f"{self.hold_seconds:g}",
        )


class Networks(WholeModel, Cache):
    """The networks, and how the CNN is computed."""

    runtime: Runtime = Runtime()


class Export(WholeModel):
    """What is exported."""

    export_dir: str | None = setting(
        None,
        "A folder that does not exist yet, named by the version's number. Default: models/ast_net/1, "
        "or models/ast_net_FORMAT/1.",
    )
    format: str = setting(
        "saved_model", "File format; saved_model is for TensorFlow Serving.", choices=EXPORT_FORMATS
    )
    cnn: bool = setting(True, "Also export what takes faces; without, only what takes features.")
    precision: str = setting(
        "auto", "Precision of the CNN; auto is float32.", choices=("auto", "float32", "bfloat16")
    )
