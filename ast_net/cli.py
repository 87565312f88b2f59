"""The flags that the verbs share. Only this module and the verbs know absl's flags."""

import logging as std_logging
import os
import sys
from collections.abc import Callable

from absl import app, flags, logging

from ast_net import config, errors, workdir
from ast_net.records import store

FLAGS = flags.FLAGS
_TRAINING, _LOSS, _RUNTIME = config.Training(), config.LossWeights(), config.Runtime()

flags.DEFINE_enum("dataset", None, list(store.BUILDERS), "The data set.")
flags.DEFINE_string("data_dir", "data", "Where records and tracks of faces are kept.")
flags.DEFINE_string("manual_dir", None, "The data set as its owners release it.")
flags.DEFINE_string("workdir", None, "What a run leaves. Default: runs/DATASET.")
flags.DEFINE_list("targets", list(config.TARGETS), f"What to learn, some of {config.ALL_TARGETS}.")
flags.DEFINE_enum(
    "backbone", "compact", ["compact", "vgg16"], "The CNN that the features come from."
)
flags.DEFINE_string(
    "backbone_weights",
    None,
    "Its weights: what finetune left, or one of VGG-Face's files. Default: compact's own.",
)
flags.DEFINE_enum("runtime", _RUNTIME.name, config.RUNTIMES, "What runs the CNN.")
flags.DEFINE_enum(
    "precision",
    _RUNTIME.precision,
    config.PRECISIONS,
    "The CNN's; int8 needs --runtime=openvino. auto: what is fastest here; for compact's records float32.",
)
for _split in ("train", "dev", "test"):
    flags.DEFINE_list(
        f"{_split}_recordings",
        None,
        f"The recordings of {_split}, if not the data set's own split.",
    )
flags.DEFINE_string(
    "video_pattern",
    None,
    "How video files are called, where a data set leaves that open. Default: what is usual there.",
)
flags.DEFINE_float(
    "max_rating_gap",
    config.MAX_RATING_GAP,
    "Seconds; frames between ratings farther apart are not rated.",
)
flags.DEFINE_list(
    "lstm_units", [str(u) for u in config.StackedLSTM().units], "Cells of each layer."
)
flags.DEFINE_integer("clip_frames", _TRAINING.clip.frames, "N, frames of a clip.")
flags.DEFINE_integer(
    "clip_stride", _TRAINING.clip.stride, "S, frames between two frames of a clip."
)
flags.DEFINE_integer(
    "clip_hop", _TRAINING.clip_hop, "Frames between the starts of an epoch's clips."
)
flags.DEFINE_float(
    "feature_dropout",
    _TRAINING.feature_dropout,
    "Part of the features set to 0 in a pair of clips.",
)
flags.DEFINE_integer("epochs", _TRAINING.epochs, "At most.")
flags.DEFINE_integer("batch_size", _TRAINING.batch_size, "Pairs of twin clips.")
flags.DEFINE_float("learning_rate", _TRAINING.learning_rate, "Of Adam.")
flags.DEFINE_integer(
    "warmup_epochs",
    _TRAINING.warmup_epochs,
    "Over these the local, global and Siamese weights rise.",
)
flags.DEFINE_integer(
    "patience", _TRAINING.patience, "Epochs without a better dev CC before the end."
)
flags.DEFINE_list(
    "reaction_delay",
    None,
    "Seconds the ratings lag behind the face: a number, or one for each target, or auto to find each on "
    "the training partition. Default: the data set's own, 0 for most.",
)
flags.DEFINE_integer("seed", _TRAINING.seed, "Of the initial weights and the order of the clips.")
flags.DEFINE_boolean("jit_compile", _TRAINING.jit_compile, "Compile the training step with XLA.")
flags.DEFINE_boolean("mixed_precision", _TRAINING.mixed_precision, "bfloat16 matrix products.")
flags.DEFINE_float("label_weight", _LOSS.label, "Of the label term (equation 2).")
flags.DEFINE_float("trend_weight", _LOSS.trend, "w1, of the trend term (equation 3).")
flags.DEFINE_float("local_weight", _LOSS.local, "w2, of the local term (equation 4).")
flags.DEFINE_float("global_weight", _LOSS.global_, "w3, of the global term (equation 5).")
flags.DEFINE_float("siamese_weight", _LOSS.siamese, "lambda, of the Siamese term (equation 6).")
flags.DEFINE_float("ccc_weight", _LOSS.ccc, "Of 1 - concordance correlation; not the paper's.")
flags.DEFINE_integer("local_intervals", _LOSS.num_intervals, "M of equation 4.")


def experiment() -> config.Experiment:
    """The run that the flags describe.

    Raises:
      InputError: a value is out of its range.
    """
    if FLAGS.dataset is None:
        raise errors.InputError("no data set: give --dataset=demo, or another that --help lists")
    named = {split: FLAGS[f"{split}_recordings"].value for split in ("train", "dev", "test")}
    # What depends on the data set is filled in, so that run.flags has it.
    if FLAGS.workdir is None:
        FLAGS["workdir"].value = f"runs/{FLAGS.dataset}"
    if FLAGS.reaction_delay is None:
        FLAGS["reaction_delay"].value = [str(store.BUILDERS[FLAGS.dataset].REACTION_DELAY)]
    find_delay = FLAGS.reaction_delay == ["auto"]
    delays = _TRAINING.reaction_delay
    if not find_delay:
        delays = _delays(FLAGS.reaction_delay)
        # 2 and 2.0 are the same run.
        FLAGS["reaction_delay"].value = [str(delay) for delay in delays]
    settings = store.runtime_of(FLAGS.dataset, runtime(), FLAGS.backbone)
    FLAGS["precision"].value = settings.precision
    return config.Experiment(
        dataset=FLAGS.dataset,
        data_dir=FLAGS.data_dir,
        workdir=FLAGS.workdir,
        manual_dir=FLAGS.manual_dir,
        targets=tuple(FLAGS.targets),
        backbone=FLAGS.backbone,
        backbone_weights=FLAGS.backbone_weights,
        runtime=settings,
        partitions={split: tuple(names) for split, names in named.items() if names},
        video_pattern=FLAGS.video_pattern,
        max_rating_gap=FLAGS.max_rating_gap,
        find_reaction_delay=find_delay,
        lstm=config.StackedLSTM(_units(FLAGS.lstm_units)),
        training=config.Training(
            clip=config.Clip(FLAGS.clip_frames, FLAGS.clip_stride),
            epochs=FLAGS.epochs,
            batch_size=FLAGS.batch_size,
            learning_rate=FLAGS.learning_rate,
            warmup_epochs=FLAGS.warmup_epochs,
            patience=FLAGS.patience,
            reaction_delay=delays,
            clip_hop=FLAGS.clip_hop,
            feature_dropout=FLAGS.feature_dropout,
            seed=FLAGS.seed,
            jit_compile=FLAGS.jit_compile,
            mixed_precision=FLAGS.mixed_precision,
        ),
        loss=config.LossWeights(
            label=FLAGS.label_weight,
            trend=FLAGS.trend_weight,
            local=FLAGS.local_weight,
            global_=FLAGS.global_weight,
            siamese=FLAGS.siamese_weight,
            ccc=FLAGS.ccc_weight,
            num_intervals=FLAGS.local_intervals,
        ),
    )


def runtime() -> config.Runtime:
    """What runs the CNN, as the flags have it; auto is left to be decided.

    Raises:
      InputError: the runtime has no such precision.
    """
    return config.Runtime(FLAGS.runtime, FLAGS.precision)


def _units(values: list[str]) -> tuple[int, ...]:
    try:
        return tuple(int(value) for value in values)
    except ValueError:
        raise errors.InputError(
            f"--lstm_units: found {values}, expected numbers such as 50,40"
        ) from None


def _delays(values: list[str]) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except ValueError:
        raise errors.InputError(
            f"--reaction_delay: found {','.join(values)}, expected seconds such as 2.0, one number for each "
            "target such as 2.0,2.6, or auto"
        ) from None


def run_flags() -> str:
    """The flags of this run as a flagfile, every value written out."""
    lines = [flag.serialize() for flag in FLAGS.flags_by_module_dict()[__name__]]
    return "".join(f"{line}\n" for line in sorted(lines) if line)


def restore(flagfile: str) -> None:
    """Sets the flags as they were in an earlier run; those on the command line go before them."""
    try:
        FLAGS([sys.argv[0], *workdir.OLDER_RUNS, f"--flagfile={flagfile}", *sys.argv[1:]])
    except flags.Error as error:
        raise errors.InputError(f"{flagfile}: {error}; expected the flags of a run") from error


def _concerns_the_user(record: std_logging.LogRecord) -> bool:
    """What the package says, and others' warnings; but TFDS warns of any settings that are not its own."""
    own = record.name == "absl" and f"{os.sep}ast_net{os.sep}" in record.pathname
    library = "tensorflow_datasets" in record.pathname
    return own or (record.levelno >= std_logging.WARNING and not library)


def run(main: Callable[[], None]) -> None:
    """Runs a verb; what the user can mend is said in a line or two, without a traceback."""

    def guarded(arguments: list[str]) -> None:
        logging.get_absl_handler().addFilter(_concerns_the_user)
        if len(arguments) > 1:
            sys.exit(
                f"error: {' '.join(arguments[1:])}: these belong to no flag; lists are written with commas"
            )
        try:
            main()
        except errors.InputError as error:
            sys.exit(f"error: {error}")
        except OSError as error:
            if error.strerror is None:
                raise
            place = f"{error.filename}: " if error.filename else ""
            sys.exit(f"error: {place}{error.strerror}")

    app.run(guarded)
