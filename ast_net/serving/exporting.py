"""Exports a model as a version on disk, whole or not at all."""

import pathlib

from ast_net import config
from ast_net.serving import formats, model_card, saved_model, served_model, version


def export(settings: config.Export) -> None:
    """Exports a run's model, or the one that comes with the package, and prints what it offers.

    Raises:
      InputError: the version exists or is not a number, the format cannot be written, or what is to
        be exported is missing or damaged.
    """
    is_saved_model = settings.format == "saved_model"
    # A server that finds another format among its versions would fail.
    suffix = "" if is_saved_model else f"_{settings.format}"
    export_dir = settings.export_dir or f"models/ast_net{suffix}/1"
    version.check(export_dir)
    if not is_saved_model:
        formats.check(settings.format, settings.precision)
    exported = served_model.load(settings)
    model_card.check(settings.workdir)
    with version.new(export_dir) as folder:
        if is_saved_model:
            saved_model.write(folder, exported)
        else:
            formats.write(folder, exported, settings.format)
        papers = folder / "assets" if is_saved_model else folder
        model_card.write(papers, exported, settings.workdir)
    size = sum(file.stat().st_size for file in pathlib.Path(export_dir).rglob("*"))
    print(f"{exported.temporal.spec.backbone}, {size / 1e6:.0f} MB: see {export_dir}")
