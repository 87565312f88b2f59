"""python -m ast_net.finetune --dataset=fer2013: trains the CNN on discrete expressions."""

from absl import flags

from ast_net import cli, config, errors
from ast_net.training import expressions

_DEFAULTS = config.Finetuning(data_dir="data", workdir="")


def _flag(define, name, *arguments) -> flags.FlagHolder:
    # Some names are also those of flags that the other verbs share, with other defaults.
    return define(name, *arguments, allow_override=True)


_FLAGS = [
    _flag(flags.DEFINE_enum, "dataset", None, ["fer2013"], "The data set."),
    _flag(
        flags.DEFINE_string, "data_dir", _DEFAULTS.data_dir, "Where prepared data sets are kept."
    ),
    _flag(flags.DEFINE_string, "manual_dir", None, "The data set as its owners release it."),
    _flag(
        flags.DEFINE_string, "workdir", None, "What a run leaves. Default: runs/DATASET-BACKBONE."
    ),
    _flag(flags.DEFINE_enum, "backbone", _DEFAULTS.backbone, ["compact", "vgg16"], "The CNN."),
    _flag(flags.DEFINE_string, "backbone_weights", None, "The weights to begin with."),
    _flag(flags.DEFINE_integer, "epochs", _DEFAULTS.epochs, "All are done; the best is kept."),
    _flag(flags.DEFINE_integer, "batch_size", _DEFAULTS.batch_size, "Pictures."),
    _flag(flags.DEFINE_float, "learning_rate", _DEFAULTS.learning_rate, "Of SGD, at its highest."),
    _flag(
        flags.DEFINE_integer, "warmup_epochs", _DEFAULTS.warmup_epochs, "In which the rate rises."
    ),
    _flag(
        flags.DEFINE_integer,
        "frozen_epochs",
        _DEFAULTS.frozen_epochs,
        "First train the head alone.",
    ),
    _flag(flags.DEFINE_float, "weight_decay", _DEFAULTS.weight_decay, "Decoupled."),
    _flag(
        flags.DEFINE_float, "label_smoothing", _DEFAULTS.label_smoothing, "Spread over all classes."
    ),
    _flag(flags.DEFINE_float, "dropout", _DEFAULTS.dropout, "Between the features and the head."),
    _flag(flags.DEFINE_float, "ema", _DEFAULTS.ema, "Of the weights' moving average; 0 for none."),
    _flag(
        flags.DEFINE_boolean, "class_weights", _DEFAULTS.class_weights, "Rare classes weigh more."
    ),
    _flag(flags.DEFINE_integer, "seed", _DEFAULTS.seed, "Of the initial weights and all chance."),
    _flag(flags.DEFINE_boolean, "jit_compile", _DEFAULTS.jit_compile, "Compile the step with XLA."),
    _flag(
        flags.DEFINE_boolean, "mixed_precision", _DEFAULTS.mixed_precision, "bfloat16 arithmetic."
    ),
]


def main() -> None:
    """Does the whole run that the flags describe."""
    values = {flag.name: flag.value for flag in _FLAGS}
    dataset = values.pop("dataset")
    if dataset is None:
        raise errors.InputError("no data set: give --dataset=fer2013")
    values["workdir"] = values["workdir"] or f"runs/{dataset}-{values['backbone']}"
    lines = [flags.FLAGS[flag.name].serialize() for flag in _FLAGS]
    run_flags = "".join(f"{line}\n" for line in sorted(lines) if line)
    expressions.finetune(config.Finetuning(**values), run_flags)


if __name__ == "__main__":
    cli.run(main)
