"""AST-Net: continuous valence and arousal from face video (Wang and Hsu, BMVC 2017).

    import ast_net
    table = ast_net.predict_video("talk.mp4")

`Predictor` keeps the networks for several videos, and predicts cameras and single frames.
`train_run` and `evaluate_run` are the commands `train` and `evaluate`. All raise `InputError`.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Where the public names are; TensorFlow is only imported when one of them is used.
_MODULES = {
    "InputError": "ast_net.errors",
    "PredictedFace": "ast_net.prediction.predicted_frame",
    "PredictedFrame": "ast_net.prediction.predicted_frame",
    "Predictor": "ast_net.prediction.predictor",
    "evaluate_run": "ast_net.api",
    "predict_video": "ast_net.api",
    "train_run": "ast_net.api",
}
__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ast_net import imports

    with imports.without_collections():
        return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
