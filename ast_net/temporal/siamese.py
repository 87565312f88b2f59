"""Two towers with one stacked LSTM, and the model that trains it (section 3.4)."""

import keras

from ast_net import config
from ast_net.temporal import losses


def build_siamese(stacked_lstm: keras.Model) -> keras.Model:
    """Builds the two towers: inputs [B, N, F] of a clip and of its twin, one frame later.

    The outputs are two predictions [B, N, D], the clip's and the twin's. Both pass through the
    sub-model as one batch: the towers are the same network, and one loop over the frames costs half
    of two.
    """
    clip = keras.Input(stacked_lstm.input.shape[1:], name="features")
    twin = keras.Input(stacked_lstm.input.shape[1:], name="twin_features")
    both = stacked_lstm(keras.ops.concatenate([clip, twin], axis=0))
    return keras.Model([clip, twin], keras.ops.split(both, 2, axis=0), name="siamese")


def build_training_model(
    siamese: keras.Model, clip: config.Clip, weights: config.LossWeights
) -> keras.Model:
    """Builds the Siamese model with its loss on top, for training.

    Inputs, by name, are those of `records.clips`: features and twin_features [B, N, F], labels and
    twin_labels [B, N, D], mask and twin_mask [B, N, D]. The output is the loss of each clip, [B].
    """
    targets = siamese.outputs[0].shape[-1]
    features = [keras.Input((clip.frames, t.shape[-1]), name=t.name) for t in siamese.inputs]
    labels = {n: keras.Input((clip.frames, targets), name=n) for n in ("labels", "twin_labels")}
    masks = {
        n: keras.Input((clip.frames, targets), name=n, dtype="bool") for n in ("mask", "twin_mask")
    }
    predictions = dict(zip(("predictions", "twin_predictions"), siamese(features), strict=True))
    loss = losses.SiameseTemporalLoss(weights, name="loss")({**labels, **predictions, **masks})
    inputs = {t.name: t for t in (*features, *labels.values(), *masks.values())}
    return keras.Model(inputs, loss, name="siamese_training")
