"""Locates the weights that come with the package; MODEL_CARD.md says what they are for."""

import pathlib

_FOLDER = pathlib.Path(__file__).parent
# The CNN `compact`, its head for eight expressions, the stacked LSTM on its features, and the
# specification of that LSTM.
COMPACT = _FOLDER / "compact.weights.h5"
COMPACT_HEAD = _FOLDER / "compact_head.weights.h5"
STACKED_LSTM = _FOLDER / "stacked_lstm.weights.h5"
STACKED_LSTM_SPEC = _FOLDER / "stacked_lstm.json"
MODEL_CARD = _FOLDER / "MODEL_CARD.md"
