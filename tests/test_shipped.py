"""The weights that come with the package fit the networks, and recognise an obvious smile."""

import numpy as np
import pytest

from ast_net import config, shipped
from ast_net.cnn import expression_head, runtime
from ast_net.datasets import ferplus
from ast_net.faces import alignment
from ast_net.temporal import streaming, temporal_model

FILES = (shipped.COMPACT, shipped.COMPACT_HEAD, shipped.STACKED_LSTM)


@pytest.fixture(scope="module")
def features(portrait, detector):
    """Returns fc6 [1, F] of the portrait, who smiles broadly, as from a video."""
    face = detector.detect(portrait)[0]
    crop = alignment.align_face(portrait, face.landmarks, config.Alignment())
    return runtime.load("compact", None, config.FLOAT32, "unused")(crop[np.newaxis])


def test_the_weights_take_at_most_20_megabytes():
    assert sum(path.stat().st_size for path in FILES) <= 20e6
    assert (shipped.COMPACT.parent / "MODEL_CARD.md").is_file()


def test_a_smile_is_classified_as_happy(features):
    head = expression_head.load()
    logits = head(features.astype(np.float32)).numpy()[0]
    assert head.expressions == ferplus.EXPRESSIONS
    assert head.expressions[logits.argmax()] == "happy"


def test_a_smile_has_the_valence_of_happiness_within_one_time_step(features):
    predictor = streaming.StreamingPredictor(temporal_model.load().network, time_step=0.4)
    values = predictor.predict(np.repeat(features, 200, axis=0), np.arange(200) / 25)
    # Frame 10 is the first that has a frame one time step before it.
    for valence, arousal in values[[10, 199]]:
        assert 0.6 < valence < 1 and 0.3 < arousal < 0.8
