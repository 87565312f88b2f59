"""Builds the two Siamese towers that share a stacked LSTM, and the training model (section 3.4)."""

import keras

from ast_net import config
from ast_net.temporal import losses


def build_siamese(stacked_lstm: keras.Model) -> keras.Model:
    """Builds the two Siamese towers.

    The inputs are the features [B, N, F] of a clip and of its twin clip, one frame later. The
    outputs are the predictions [B, N, D] for both. Both clips go through the shared LSTM as one
    batch, because one loop over the frames costs half as much as two.
    """
    shape, dtype = stacked_lstm.input.shape[1:], stacked_lstm.input.dtype
    clip = keras.Input(shape, dtype=dtype, name="features")
    twin = keras.Input(shape, dtype=dtype, name="twin_features")
    both = stacked_lstm(keras.ops.concatenate([clip, twin], axis=0))
    return keras.Model([clip, twin], keras.ops.split(both, 2, axis=0), name="siamese")


def build_training_model(
    siamese: keras.Model, clip: config.Clip, weights: config.LossWeights
) -> keras.Model:
    """Builds the model for training: the Siamese towers with the loss on top.

    The inputs, by name, are those that `records.clips` makes: features and twin_features [B, N, F],
    labels and twin_labels [B, N, D], mask and twin_mask [B, N, D]. The output is the loss of each
    clip, [B].
    """
    targets = siamese.outputs[0].shape[-1]
    features = [
        keras.Input((clip.frames, t.shape[-1]), dtype=t.dtype, name=t.name) for t in siamese.inputs
    ]
    labels = {n: keras.Input((clip.frames, targets), name=n) for n in ("labels", "twin_labels")}
    masks = {
        n: keras.Input((clip.frames, targets), name=n, dtype="bool") for n in ("mask", "twin_mask")
    }
    predictions = dict(zip(("predictions", "twin_predictions"), siamese(features), strict=True))
    loss = losses.SiameseTemporalLoss(weights, name="loss")({**labels, **predictions, **masks})
    inputs = {t.name: t for t in (*features, *labels.values(), *masks.values())}
    return keras.Model(inputs, loss, name="siamese_training")
