"""Writes an exported model's documents: its card, how to call it, and its run's flags."""

import pathlib
import shutil
from collections.abc import Mapping

from ast_net import errors, shipped, workdir
from ast_net.reports import tables
from ast_net.serving import interface, served_model

# Template for a run without a MODEL_CARD.md; filled in from its specification.
_RUN_CARD = pathlib.Path(__file__).with_name("RUN_CARD.md")


def check(run: str | None) -> None:
    """Checks that a run has its run.flags.

    Args:
      run: the run's folder; None for the package's own model.

    Raises:
      InputError: the file is missing.
    """
    path = pathlib.Path(run or "", workdir.RUN_FLAGS)
    if run is not None and not path.is_file():
        raise errors.InputError(
            f"{path}: no such file; an exported model says how it was trained, so give a whole "
            "folder that train has written, not only the model's files"
        )


def write(
    folder: pathlib.Path,
    model: served_model.ServedModel,
    run: str | None,
    functions: Mapping[str, interface.Function],
) -> None:
    """Writes model.json, MODEL_CARD.md, and the run.flags of its run.

    Args:
      folder: where to write; created if it does not exist.
      model: the exported model.
      run: the run's folder; None for the package's own model.
      functions: what the exported files compute.
    """
    folder.mkdir(exist_ok=True)
    spec = model.temporal.spec
    tables.write_json(folder / workdir.MODEL_SPEC, interface.document(model, functions))
    card = shipped.MODEL_CARD.read_text()
    if run is not None:
        shutil.copyfile(pathlib.Path(run, workdir.RUN_FLAGS), folder / workdir.RUN_FLAGS)
        run_card = pathlib.Path(run, shipped.MODEL_CARD.name)
        values = {**vars(spec), "targets": " and ".join(spec.targets)}
        heading = _RUN_CARD.read_text().format(**values)
        card = run_card.read_text() if run_card.is_file() else heading + card
    (folder / shipped.MODEL_CARD.name).write_text(card)
