"""python -m ast_net.export --export_dir=models/ast_net/1: a trained model for servers and other runtimes."""

from absl import flags

from ast_net import cli
from ast_net.serving import exporting, formats

_MODEL = flags.DEFINE_enum(
    "model", "best", ["best", "last"], "Which model of --workdir.", allow_override=True
)
_EXPORT_DIR = flags.DEFINE_string(
    "export_dir",
    None,
    "A folder that does not exist, its last part the version's number. Default: models/ast_net/1, for other "
    "formats models/ast_net_FORMAT/1.",
)
_FORMAT = flags.DEFINE_enum(
    "format",
    exporting.SAVED_MODEL,
    [exporting.SAVED_MODEL, *formats.FORMATS],
    "SavedModel is for TensorFlow Serving.",
)
_CNN = flags.DEFINE_boolean(
    "cnn", True, "Also what takes faces; without, only what takes features."
)

for _name in ("workdir", "backbone_weights", "precision"):
    flags.declare_key_flag(_name)


def main() -> None:
    """Exports the model that the flags name."""
    exporting.export(
        exporting.place(_EXPORT_DIR.value, _FORMAT.value),
        _FORMAT.value,
        flags.FLAGS.workdir,
        _MODEL.value,
        flags.FLAGS.backbone_weights,
        _CNN.value,
        flags.FLAGS.precision,
    )


if __name__ == "__main__":
    cli.run(main)
