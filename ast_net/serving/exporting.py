"""Exports a model as a version on disk, whole or not at all."""

import pathlib

from ast_net import errors
from ast_net.serving import formats, model_card, saved_model, served_model, version

SAVED_MODEL = "saved_model"


def place(export_dir: str | None, format_name: str) -> str:
    """Returns where a model goes: a server would fail on another format among its versions."""
    suffix = "" if format_name == SAVED_MODEL else f"_{format_name}"
    return export_dir or f"models/ast_net{suffix}/1"


def export(
    export_dir: str | pathlib.Path,
    format_name: str = SAVED_MODEL,
    workdir: str | None = None,
    model: str = "best",
    backbone_weights: str | None = None,
    with_cnn: bool = True,
    precision: str = "auto",
) -> None:
    """Exports a run's model, or the one that comes with the package.

    Args:
      export_dir: a folder that does not exist, its name a version's number.
      format_name: saved_model, onnx, openvino or litert.
      workdir, model, backbone_weights, with_cnn: as of `served_model.load`.
      precision: of the CNN, float32 or bfloat16; auto is float32, which any machine computes well.

    Raises:
      InputError: the version exists or is not a number, the format cannot be written, or what is to
        be exported is missing or damaged.
    """
    version.check(export_dir)
    precision = "float32" if precision == "auto" else precision
    if precision == "int8":
        raise errors.InputError(
            "`precision=int8` is for predicting with OpenVINO, on the machine that made it; export "
            "writes float32 or bfloat16"
        )
    if format_name != SAVED_MODEL:
        formats.check(format_name, precision)
    exported = served_model.load(workdir, model, backbone_weights, with_cnn, precision)
    model_card.check(workdir)
    with version.new(export_dir) as folder:
        if format_name == SAVED_MODEL:
            functions = saved_model.write(folder, exported)
            model_card.write(folder / "assets", exported.temporal.spec, workdir)
        else:
            functions = {}
            formats.write(folder, exported, format_name)
            model_card.write(folder, exported.temporal.spec, workdir)
    for name, function in functions.items():
        print(f"{name}: {saved_model.describe(function)}")
    size = sum(file.stat().st_size for file in pathlib.Path(export_dir).rglob("*"))
    print(f"{exported.temporal.spec.backbone}, {size / 1e6:.0f} MB: see {export_dir}")
