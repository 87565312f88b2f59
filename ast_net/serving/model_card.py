"""Writes the papers of an exported model: card, specification, expressions, the run's flags."""

import json
import pathlib
import shutil

from ast_net import errors, shipped, workdir
from ast_net.serving import served_model
from ast_net.temporal import temporal_model

# The names of the posteriors, in their order.
EXPRESSIONS = "expressions.json"
# For a run that has no card; the values are those of its specification.
_RUN_CARD = pathlib.Path(__file__).with_name("RUN_CARD.md")


def check(run: str | None) -> None:
    """Checks that a run says how it was trained; arguments as of `write`.

    Raises:
      InputError: it does not.
    """
    path = pathlib.Path(run or "", workdir.RUN_FLAGS)
    if run is not None and not path.is_file():
        raise errors.InputError(
            f"{path}: no such file; an exported model says how it was trained: give a whole folder "
            "that train has left, not the model alone"
        )


def write(folder: pathlib.Path, model: served_model.ServedModel, run: str | None) -> None:
    """Writes model.json, MODEL_CARD.md, expressions.json if it has any, and run.flags of a run.

    Args:
      folder: is made if need be.
      model: what is exported.
      run: its folder; None for the package's own model.
    """
    folder.mkdir(exist_ok=True)
    spec = model.temporal.spec
    if model.head is not None:
        (folder / EXPRESSIONS).write_text(json.dumps(model.head.expressions))
    temporal_model.save_spec(folder / workdir.MODEL_SPEC, spec)
    card = shipped.MODEL_CARD.read_text()
    if run is not None:
        shutil.copyfile(pathlib.Path(run, workdir.RUN_FLAGS), folder / workdir.RUN_FLAGS)
        file = pathlib.Path(run, shipped.MODEL_CARD.name)
        values = {**vars(spec), "targets": " and ".join(spec.targets)}
        before = _RUN_CARD.read_text().format(**values)
        card = file.read_text() if file.is_file() else before + card
    (folder / shipped.MODEL_CARD.name).write_text(card)
