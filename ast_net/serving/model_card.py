"""Writes an exported model's documents: model card, specification, and its run's flags."""

import pathlib
import shutil

from ast_net import errors, shipped, workdir
from ast_net.temporal import temporal_model

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


def write(folder: pathlib.Path, spec: temporal_model.ModelSpec, run: str | None) -> None:
    """Writes model.json and MODEL_CARD.md, and run.flags if the model is of a run.

    Args:
      folder: where to write; created if it does not exist.
      spec: specification of the model.
      run: the run's folder; None for the package's own model.
    """
    folder.mkdir(exist_ok=True)
    temporal_model.save_spec(folder / workdir.MODEL_SPEC, spec)
    card = shipped.MODEL_CARD.read_text()
    if run is not None:
        shutil.copyfile(pathlib.Path(run, workdir.RUN_FLAGS), folder / workdir.RUN_FLAGS)
        run_card = pathlib.Path(run, shipped.MODEL_CARD.name)
        values = {**vars(spec), "targets": " and ".join(spec.targets)}
        heading = _RUN_CARD.read_text().format(**values)
        card = run_card.read_text() if run_card.is_file() else heading + card
    (folder / shipped.MODEL_CARD.name).write_text(card)
