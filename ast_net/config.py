"""Every number of the paper, and the few it leaves open, as validated frozen dataclasses."""

import dataclasses

from ast_net import errors

TARGETS = ("valence", "arousal")
# Those that some data sets have ratings of, in the one order they are ever given in.
ALL_TARGETS = (*TARGETS, "expectancy", "power")
# Seconds; a gap between two ratings that is longer is not bridged.
MAX_RATING_GAP = 1.0


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise errors.InputError(message)


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Where a face lies in its crop, in pixels (section 3.1 aligns by the eyes; the places are ours).

    The eyes lie where MTCNN finds them in FER2013's pictures, when these are the middle 192 pixels of the
    crop (tools/measure_framing.py), so that a CNN sees faces in videos as large as those it was trained on.
    """

    size: int = 224
    left_eye: tuple[float, float] = (75.0, 90.0)
    right_eye: tuple[float, float] = (148.0, 90.0)

    def __post_init__(self) -> None:
        _require(self.size > 0, f"size must be positive, found {self.size}")
        _require(
            self.left_eye[0] < self.right_eye[0],
            f"left_eye must lie left of right_eye in the picture, found {self.left_eye} and "
            f"{self.right_eye}",
        )


@dataclasses.dataclass(frozen=True)
class Tracking:
    """When the face is detected anew, and when a followed face counts as lost.

    Attributes:
      redetect_every: frames between two detections while a face is followed.
      search_every: frames between two detections while there is no face.
      min_confidence: the probability of a face, in [0, 1], below which a frame is invalid.
      min_face_fraction: smallest face looked for, as a fraction of the picture's shorter side.
    """

    redetect_every: int = 25
    search_every: int = 3
    min_confidence: float = 0.9
    min_face_fraction: float = 0.1

    def __post_init__(self) -> None:
        _require(
            self.redetect_every >= 1, f"redetect_every must be >= 1, found {self.redetect_every}"
        )
        _require(self.search_every >= 1, f"search_every must be >= 1, found {self.search_every}")
        _require(
            0 < self.min_confidence < 1,
            f"min_confidence must be in (0, 1), found {self.min_confidence}",
        )
        _require(
            0 < self.min_face_fraction < 1,
            f"min_face_fraction must be in (0, 1), found {self.min_face_fraction}",
        )


RUNTIMES = ("tensorflow", "openvino")
PRECISIONS = ("auto", "float32", "bfloat16", "int8")


@dataclasses.dataclass(frozen=True)
class Runtime:
    """What runs the CNN, and in which precision; the paper says neither.

    Attributes:
      name: tensorflow, or openvino (an extra).
      precision: of weights and products; int8 needs OpenVINO; auto is decided by `cnn.runtime.resolve`.
    """

    name: str = "tensorflow"
    precision: str = "auto"

    def __post_init__(self) -> None:
        _require(self.name in RUNTIMES, f"runtime must be one of {RUNTIMES}, found {self.name!r}")
        _require(
            self.precision in PRECISIONS,
            f"precision must be one of {PRECISIONS}, found {self.precision!r}",
        )
        _require(
            self.precision != "int8" or self.name == "openvino",
            f"precision int8 is not for runtime {self.name}: give --runtime=openvino, or another --precision",
        )


# Features that are the same on every machine but for rounding.
FLOAT32 = Runtime("tensorflow", "float32")


@dataclasses.dataclass(frozen=True)
class Clip:
    """How clips are sampled from a recording (section 3.1: N = 50 frames, every 10th)."""

    frames: int = 50
    stride: int = 10

    def __post_init__(self) -> None:
        _require(self.frames >= 2, f"a clip needs at least 2 frames, found {self.frames}")
        _require(self.stride >= 1, f"the stride must be at least 1, found {self.stride}")

    @property
    def span(self) -> int:
        """Frames of the recording from a clip's first frame to its last, both included."""
        return (self.frames - 1) * self.stride + 1


@dataclasses.dataclass(frozen=True)
class StackedLSTM:
    """The temporal model (section 4.3: two stacked layers of 50 and 40 cells)."""

    units: tuple[int, ...] = (50, 40)

    def __post_init__(self) -> None:
        _require(
            len(self.units) > 0 and all(u > 0 for u in self.units),
            f"units must be positive, one number a layer, found {self.units}",
        )


@dataclasses.dataclass(frozen=True)
class LossWeights:
    """Weights of equations 1 and 2 (section 4.3: w1 = w2 = w3 = 10, lambda = 1000).

    A weight of 0 switches its term off, for the rows of the paper's Table 1. `ccc`, one minus the
    concordance correlation, is not the paper's. `num_intervals` is M of equation 4; the paper gives none.
    """

    label: float = 1.0
    trend: float = 10.0
    local: float = 10.0
    global_: float = 10.0
    siamese: float = 1000.0
    ccc: float = 0.0
    num_intervals: int = 5

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self)[:-1]:
            value = getattr(self, field.name)
            _require(value >= 0, f"the weight of the {field.name} term must be >= 0, found {value}")
        _require(
            self.label + self.trend + self.local + self.global_ + self.siamese + self.ccc > 0,
            "every loss term has weight 0: nothing would be learned",
        )
        _require(self.num_intervals >= 1, f"num_intervals must be >= 1, found {self.num_intervals}")


@dataclasses.dataclass(frozen=True)
class Training:
    """How the temporal model is trained. The paper gives no optimiser; these are ours.

    Attributes:
      epochs: at most; an epoch has every `clip_hop`-th clip of each training recording.
      batch_size: pairs of twin clips.
      learning_rate: of Adam.
      warmup_epochs: over these the weights of the local, the global and the Siamese term rise from 0
        (`temporal.losses.SiameseTemporalLoss` says why).
      patience: epochs without a better mean dev CC after which training stops.
      reaction_delay: seconds by which the ratings lag behind the face, one number for all targets or one
        for each.
      clip_hop: frames between the starts of an epoch's clips.
      feature_dropout: the part of the features that is set to 0, others for each pair of clips. For data
        with few faces or, as the shipped model's, with other faces than those to be predicted.
      shuffle_clips: clips held in memory to be shuffled.
      seed: of the initial weights and the order of the clips.
    """

    clip: Clip = Clip()
    epochs: int = 100
    batch_size: int = 32
    learning_rate: float = 2e-3
    warmup_epochs: int = 5
    patience: int = 10
    reaction_delay: tuple[float, ...] = (0.0,)
    clip_hop: int = 5
    feature_dropout: float = 0.0
    shuffle_clips: int = 512
    seed: int = 0
    jit_compile: bool = False
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "clip_hop", "shuffle_clips"):
            _require(getattr(self, name) >= 1, f"{name} must be >= 1, found {getattr(self, name)}")
        _require(self.learning_rate > 0, f"learning_rate must be > 0, found {self.learning_rate}")
        _require(self.warmup_epochs >= 0, f"warmup_epochs must be >= 0, found {self.warmup_epochs}")
        _require(
            0 <= self.feature_dropout < 1,
            f"feature_dropout must be in [0, 1), found {self.feature_dropout}",
        )
        _require(0 <= self.seed < 2**32, f"seed must be from 0 to 2^32 - 1, found {self.seed}")
        delays = self.reaction_delay
        _require(
            len(delays) > 0 and all(0 <= delay <= 10 for delay in delays),
            f"reaction_delay must be from 0 to 10 seconds, found {delays}",
        )


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One run: a data set, the features taken from it, and the model trained on them.

    Attributes:
      dataset: the name of a data set.
      data_dir: where records and tracks of faces are kept.
      manual_dir: the data set as its owners release it.
      workdir: what the run leaves (section "What a run leaves" of the README).
      targets: what to learn, some of ALL_TARGETS in their order.
      backbone, backbone_weights: the CNN (section 3.2).
      runtime: what runs it; auto is decided by `datasets.preparation.runtime_of`.
      partitions: the recordings of each split; empty for the data set's own.
      video_pattern: how the data set's video files are called; None for what is usual.
      max_rating_gap: seconds; frames between ratings farther apart are not rated.
      find_reaction_delay: whether training finds it first, on its own partition
        (`datasets.reaction_delay`), in place of `training.reaction_delay`.
    """

    dataset: str
    data_dir: str
    workdir: str
    manual_dir: str | None = None
    targets: tuple[str, ...] = TARGETS
    backbone: str = "compact"
    backbone_weights: str | None = None
    runtime: Runtime = Runtime()
    partitions: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    video_pattern: str | None = None
    max_rating_gap: float = MAX_RATING_GAP
    find_reaction_delay: bool = False
    lstm: StackedLSTM = StackedLSTM()
    training: Training = Training()
    loss: LossWeights = LossWeights()

    def __post_init__(self) -> None:
        unknown = [target for target in self.targets if target not in ALL_TARGETS]
        _require(not unknown, f"targets {unknown} are unknown, expected some of {ALL_TARGETS}")
        _require(
            0 < len(self.targets) == len(set(self.targets)),
            f"targets must be named once each, found {self.targets}",
        )
        _require(
            list(self.targets) == [target for target in ALL_TARGETS if target in self.targets],
            f"targets must be in the order {ALL_TARGETS}, found {self.targets}",
        )
        _require(
            not self.loss.local or self.loss.num_intervals <= self.training.clip.frames,
            f"the local loss needs a frame for each of its {self.loss.num_intervals} intervals, found "
            f"clips of {self.training.clip.frames}: lower --local_intervals",
        )
        delays = self.training.reaction_delay
        _require(
            len(delays) in (1, len(self.targets)),
            f"reaction_delay must be one number, or one for each of {', '.join(self.targets)}, found "
            f"{delays}",
        )
        _require(
            self.max_rating_gap > 0,
            f"max_rating_gap must be a positive number of seconds, found {self.max_rating_gap}",
        )

    @property
    def record_targets(self) -> tuple[str, ...]:
        """The labels of a record: valence and arousal, whatever is learned, and further ones asked for."""
        return tuple(t for t in ALL_TARGETS if t in TARGETS or t in self.targets)

    @property
    def target_columns(self) -> list[int]:
        """Where the targets stand among a record's labels."""
        return [self.record_targets.index(target) for target in self.targets]


@dataclasses.dataclass(frozen=True)
class Finetuning:
    """A run that trains the CNN on discrete expressions. The paper gives no numbers; these are ours.

    Attributes:
      data_dir, manual_dir, workdir, backbone, backbone_weights: as of `Experiment`.
      epochs: all of them are done; the best is kept.
      batch_size: pictures.
      learning_rate: of SGD, the highest of its schedule.
      warmup_epochs: in which the learning rate rises from 0.
      frozen_epochs: at the beginning, in which only the head is trained.
      weight_decay: decoupled; a step takes learning rate times this off each weight.
      label_smoothing: the part of a label that is spread over all classes.
      dropout: between the features and the head.
      ema: how much of the averaged weights a step keeps; 0 for no averaging.
      class_weights: whether rare classes weigh more.
      seed: of the initial weights, the order of the pictures and their changes.
    """

    data_dir: str
    workdir: str
    manual_dir: str | None = None
    backbone: str = "compact"
    backbone_weights: str | None = None
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 0.05
    warmup_epochs: int = 2
    frozen_epochs: int = 0
    weight_decay: float = 5e-3
    label_smoothing: float = 0.1
    dropout: float = 0.5
    ema: float = 0.999
    class_weights: bool = False
    seed: int = 0
    jit_compile: bool = False
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            _require(getattr(self, name) >= 1, f"{name} must be >= 1, found {getattr(self, name)}")
        for name in ("warmup_epochs", "frozen_epochs"):
            value = getattr(self, name)
            _require(
                0 <= value < self.epochs,
                f"{name} must be from 0 to below the {self.epochs} epochs, found {value}",
            )
        for name in ("label_smoothing", "dropout", "ema"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"{name} must be in [0, 1), found {value}")
        _require(self.learning_rate > 0, f"learning_rate must be > 0, found {self.learning_rate}")
        _require(self.weight_decay >= 0, f"weight_decay must be >= 0, found {self.weight_decay}")
        _require(self.seed >= 0, f"seed must be >= 0, found {self.seed}")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """How recordings are predicted.

    Attributes:
      inference: stream, the state of the LSTM running on over the whole recording, or clip, in which it
        starts anew with every clip of N frames.
      max_faces: how many faces are followed, the most prominent ones; None for all.
      identity_seconds: how long a face may be away and still be the same.
      hold_seconds: how long a prediction stands after its face is gone; such rows are not valid.
      batch_size: faces that pass through the CNN at once.
    """

    inference: str = "stream"
    max_faces: int | None = 1
    identity_seconds: float = 2.0
    hold_seconds: float = 0.5
    batch_size: int = 32
    tracking: Tracking = Tracking()
    alignment: Alignment = Alignment()

    def __post_init__(self) -> None:
        _require(
            self.inference in ("stream", "clip"),
            f"inference must be stream or clip, found {self.inference!r}",
        )
        _require(
            self.max_faces is None or self.max_faces >= 1,
            f"max_faces must be >= 1, found {self.max_faces}",
        )
        _require(self.batch_size >= 1, f"batch_size must be >= 1, found {self.batch_size}")
        _require(
            0 <= self.hold_seconds <= self.identity_seconds,
            f"hold_seconds must be from 0 to identity_seconds ({self.identity_seconds}), found "
            f"{self.hold_seconds}",
        )
