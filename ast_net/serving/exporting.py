"""Exports a model to a folder, which appears whole or not at all."""

import pathlib

from ast_net import config, files, screen
from ast_net.serving import formats, model_card, saved_model, served_model, version


def export(settings: config.Export) -> None:
    """Exports the model of a run, or the package's own, and prints its signatures.

    Raises:
      InputError: the folder exists, its name is not a number though TensorFlow Serving needs one,
        the format cannot be written, or the model is missing or damaged.
    """
    is_saved_model = settings.format == "saved_model"
    # TensorFlow Serving fails if one of its versions is in another format, so these go elsewhere.
    default = "models/ast_net/1" if is_saved_model else f"models/ast_net_{settings.format}"
    export_dir = settings.export_dir or default
    files.sweep(pathlib.Path(export_dir).absolute().parent)
    version.check(export_dir, is_saved_model)
    if not is_saved_model:
        formats.check(settings.format, settings.precision)
    exported = served_model.load(settings)
    model_card.check(settings.workdir)
    with version.new(export_dir, is_saved_model) as folder:
        if is_saved_model:
            functions = saved_model.write(folder, exported)
        else:
            functions = formats.write(folder, exported, settings.format)
        documents = folder / "assets" if is_saved_model else folder
        model_card.write(documents, exported, settings.workdir, functions)
    size = sum(file.stat().st_size for file in pathlib.Path(export_dir).rglob("*"))
    print(f"{exported.temporal.spec.backbone}, {size / 1e6:.0f} MB")
    screen.wrote(export_dir)
