"""Writes the papers of an exported model: its card, its specification, its run's flags."""

import pathlib
import shutil

from ast_net import errors, shipped
from ast_net import workdir as run_folder
from ast_net.temporal import temporal_model

MODEL_CARD = "MODEL_CARD.md"
_RUN_CARD = """\
# Model card: {targets} from faces, of a run of one's own

Trained as `run.flags` says, and to be fed as `model.json` says:
clips of {clip_frames} frames, {stride} frames from one to the next, at {frame_rate:g} frames a second;
features of `{backbone}` with the weights whose SHA-256 begins with {backbone_digest}.

Before others use it, write here on which recordings it was trained, how well it agrees with raters
(`evaluation/metrics.json` of the run), and for whom it will be worse; a file of this name in the
run's folder takes the place of this one. What the card of the package's own weights says of their
use holds here as well; it follows. Its figures are not of this model.

"""


def check(workdir: str | None) -> None:
    """Checks that a run says how it was trained; arguments as of `write`.

    Raises:
      InputError: it does not.
    """
    if workdir is not None and not (pathlib.Path(workdir) / run_folder.RUN_FLAGS).is_file():
        raise errors.InputError(
            f"{pathlib.Path(workdir) / run_folder.RUN_FLAGS}: no such file; an exported model says "
            "how it was trained: give a whole folder that train has left, not the model alone"
        )


def write(folder: pathlib.Path, spec: temporal_model.ModelSpec, workdir: str | None) -> None:
    """Writes model.json, MODEL_CARD.md, and run.flags of a run.

    Args:
      folder: is made if need be.
      spec: of the model.
      workdir: the run's; None for the package's own model.
    """
    folder.mkdir(exist_ok=True)
    temporal_model.save_spec(folder / run_folder.MODEL_SPEC, spec)
    card = shipped.MODEL_CARD.read_text()
    if workdir is not None:
        run = pathlib.Path(workdir)
        shutil.copyfile(run / run_folder.RUN_FLAGS, folder / run_folder.RUN_FLAGS)
        if (run / MODEL_CARD).is_file():
            card = (run / MODEL_CARD).read_text()
        else:
            values = {**vars(spec), "targets": " and ".join(spec.targets)}
            card = _RUN_CARD.format(**values) + card
    (folder / MODEL_CARD).write_text(card)
