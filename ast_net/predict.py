"""python -m ast_net.predict --video=FILE: valence and arousal of every face in every frame."""

import os
import pathlib
import sys

from absl import flags

from ast_net import cli, config, errors
from ast_net.prediction import inputs, outputs, pipeline, prediction_model, session

_DEFAULTS = config.Prediction()
_VIDEO = flags.DEFINE_multi_string(
    "video",
    [],
    "A video, a folder, a pattern such as 'talks/*.mp4', or pictures such as 'talk/%05d.png'. May be repeated.",
)
_CAMERA = flags.DEFINE_string("camera", None, "A camera's number, or a stream's address.")
_MAX_SECONDS = flags.DEFINE_float(
    "max_seconds", None, "When the camera is switched off. Default: Ctrl-C."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "predictions", "Gets a folder for each input.", allow_override=True
)
_OUTPUTS = flags.DEFINE_list(
    "outputs",
    ["csv", "figure", "video"],
    f"Some of {', '.join(outputs.OUTPUTS)}; jsonl goes to the standard output.",
)
_POSTERIORS = flags.DEFINE_boolean("posteriors", False, "Also those of the seven expressions.")
_INFERENCE = flags.DEFINE_enum(
    "inference",
    _DEFAULTS.inference,
    ["stream", "clip"],
    "Whether the LSTM's state runs on, or starts anew with every clip.",
)
_MAX_FACES = flags.DEFINE_string("max_faces", "1", "How many faces are followed at most, or all.")
_IDENTITY_SECONDS = flags.DEFINE_float(
    "identity_seconds", _DEFAULTS.identity_seconds, "How long a face may be away and keep its id."
)
_HOLD_SECONDS = flags.DEFINE_float(
    "hold_seconds", _DEFAULTS.hold_seconds, "How long a prediction stands after its face is gone."
)
_BATCH_FACES = flags.DEFINE_integer(
    "batch_faces", _DEFAULTS.batch_size, "Faces that pass through the CNN at once, from files."
)
_MODEL = flags.DEFINE_enum(
    "model", "best", ["best", "last"], "Which model of --workdir.", allow_override=True
)

for _name in ("workdir", "data_dir", "backbone_weights", "runtime", "precision"):
    flags.declare_key_flag(_name)


def _max_faces(faces: str) -> int | None:
    if faces == "all":
        return None
    if not faces.isdigit():
        raise errors.InputError(f"--max_faces: found {faces!r}, expected a number or all")
    return int(faces)


def main() -> None:
    """Predicts what the flags name."""
    wanted = outputs.Wanted(
        pathlib.Path(_OUTPUT_DIR.value), tuple(_OUTPUTS.value), _POSTERIORS.value
    )
    if _CAMERA.value is not None and _VIDEO.value:
        raise errors.InputError("--video and --camera: expected one of them")
    settings = config.Prediction(
        inference=_INFERENCE.value,
        max_faces=_max_faces(_MAX_FACES.value),
        identity_seconds=_IDENTITY_SECONDS.value,
        hold_seconds=_HOLD_SECONDS.value,
        batch_size=_BATCH_FACES.value,
    )
    recordings = [] if _CAMERA.value is not None else inputs.find(_VIDEO.value)
    loaded = prediction_model.load(
        flags.FLAGS.workdir,
        f"{_MODEL.value}.keras",
        flags.FLAGS.backbone_weights,
        cli.runtime(),
        flags.FLAGS.data_dir,
        _POSTERIORS.value,
    )
    predictor = pipeline.Pipeline(loaded, settings)
    try:
        if _CAMERA.value is not None:
            summaries = [
                session.predict_camera(predictor, _CAMERA.value, wanted, _MAX_SECONDS.value)
            ]
        else:
            summaries = session.predict_files(predictor, recordings, wanted)
    except BrokenPipeError:
        # Who reads JSON lines has read enough; Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    failed = [summary for summary in summaries if summary.error]
    done = len(summaries) - len(failed)
    print(f"{done} of {len(summaries)} inputs: see {_OUTPUT_DIR.value}", file=sys.stderr)
    if failed:
        sys.exit("\n".join(["error:", *(f"  {summary.line()}" for summary in failed)]))


if __name__ == "__main__":
    cli.run(main)
