"""Compares every term with float64 NumPy loops written from the equations."""

import numpy as np
import pytest
import tensorflow as tf

from ast_net import config
from ast_net.temporal import losses

B, N, D = 4, 12, 2
TERMS = [losses.label_loss, losses.trend_loss, losses.local_loss, losses.global_loss]


@pytest.fixture
def clips(rng):
    """labels, predictions, twin_labels, twin_predictions [B, N, D], mask, twin_mask [B, N]."""
    series = [rng.normal(size=(B, N, D)) for _ in range(4)]
    masks = [rng.random((B, N)) > 0.4 for _ in range(2)]
    masks[0][0] = False  # a clip without valid frames
    masks[0][1] = masks[1][1] = True  # a clip with all frames valid
    masks[0][2] = np.arange(N) == 3  # a clip with a single valid frame
    return *series, *masks


def label(g, p, m):
    squares = [np.sum((g[i] - p[i]) ** 2) for i in range(N) if m[i]]
    return sum(squares) / (2 * len(squares)) if squares else 0.0


def trend(g, p, m):
    total = sum(
        np.sum(((g[i] - g[i - 1]) - (p[i] - p[i - 1])) ** 2)
        for i in range(1, N)
        if m[i] and m[i - 1]
    )
    return total / (2 * m.sum()) if m.any() else 0.0


def value_range(x, m):
    return np.ptp(x[m], axis=0)


def local(g, p, m, intervals=5):
    total, count = 0.0, 0
    for k in range(intervals):
        part = slice(k * N // intervals, (k + 1) * N // intervals)
        if m[part].any():
            total += np.sum((value_range(g[part], m[part]) - value_range(p[part], m[part])) ** 2)
            count += 1
    return total / (2 * count) if count else 0.0


def global_(g, p, m):
    return np.sum((value_range(g, m) - value_range(p, m)) ** 2) if m.any() else 0.0


def siamese(g, p, tg, tp, m, tm):
    both = m & tm
    total = sum(np.sum(((tg[i] - g[i]) - (tp[i] - p[i])) ** 2) for i in range(N) if both[i])
    return total / (2 * both.sum()) if both.any() else 0.0


REFERENCE = dict(zip(TERMS, [label, trend, local, global_], strict=True))


def per_clip(formula, *arrays):
    return np.array([formula(*clip) for clip in zip(*arrays, strict=True)])


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_term_equals_numpy(term, dtype, clips):
    g, p, *_, mask, _ = clips
    expected = per_clip(REFERENCE[term], g, p, mask)
    result = term(g.astype(dtype), p.astype(dtype), mask)
    assert result.shape == (B,)
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    everything = np.ones_like(mask)
    unmasked = term(g.astype(dtype), p.astype(dtype))
    np.testing.assert_allclose(unmasked, per_clip(REFERENCE[term], g, p, everything), rtol=1e-5)


def test_siamese_equals_numpy(clips):
    expected = per_clip(siamese, *clips)
    result = losses.siamese_loss(*[a.astype(np.float32) for a in clips[:4]], *clips[4:])
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_terms_by_hand():
    g = np.array([[[0.0], [1.0], [3.0], [3.0]]])
    p = np.array([[[1.0], [1.0], [1.0], [2.0]]])
    # Differences are 1 0 2 1, steps of g 1 2 0 and of p 0 0 1, ranges of the halves of g 1 0 and of
    # p 0 1, ranges of the clip 3 and 1.
    assert losses.label_loss(g, p).numpy() == pytest.approx([6 / 8])
    assert losses.trend_loss(g, p).numpy() == pytest.approx([(1 + 4 + 1) / 8])
    assert losses.local_loss(g, p, num_intervals=2).numpy() == pytest.approx([(1 + 1) / 4])
    assert losses.global_loss(g, p).numpy() == pytest.approx([4.0])
    assert losses.siamese_loss(g, p, g + 1, p).numpy() == pytest.approx([4 / 8])


def test_perfect_predictions_have_no_loss(clips):
    g, mask = clips[0], clips[4]
    for term in TERMS:
        np.testing.assert_allclose(term(g, g, mask), 0, atol=1e-12)
    # A constant offset does not change terms that are made of differences.
    for term in (losses.trend_loss, losses.local_loss, losses.global_loss):
        np.testing.assert_allclose(term(g, g + 0.5, mask), 0, atol=1e-12)


def test_masked_labels_may_be_nan(clips):
    g, p, tg, tp, mask, twin_mask = clips
    unrated = np.where(mask[..., None], g, np.nan)
    for term in TERMS:
        np.testing.assert_array_equal(term(unrated, p, mask), term(g, p, mask))
    np.testing.assert_array_equal(
        losses.siamese_loss(unrated, p, tg, tp, mask, twin_mask),
        losses.siamese_loss(g, p, tg, tp, mask, twin_mask),
    )


@pytest.mark.parametrize("predictions", ["ties", "constant", "random"])
@pytest.mark.parametrize("valid", ["all", "none", "some"])
def test_gradients_are_finite(predictions, valid, clips, rng):
    g = clips[0]
    p = {
        "ties": np.repeat(rng.normal(size=(B, N // 3, D)), 3, axis=1),
        "constant": np.full((B, N, D), 0.3),
        "random": clips[1],
    }[predictions]
    mask = {"all": np.ones((B, N), bool), "none": np.zeros((B, N), bool), "some": clips[4]}[valid]
    p = tf.Variable(p.astype(np.float32))
    with tf.GradientTape(persistent=True) as tape:
        values = [term(g, p, mask) for term in TERMS]
        values.append(losses.siamese_loss(g, p, clips[2], p * 0.5, mask, mask))
        values.append(losses.ccc_loss(g, p, mask))
    for value in values:
        gradient = tape.gradient(value, p).numpy()
        assert np.isfinite(gradient).all()
        if valid == "none":
            assert not gradient.any()


def test_ccc_equals_one_minus_concordance(clips):
    g, p, mask = clips[0], clips[1], clips[4]
    expected = []
    for target in range(D):
        x, y = g[mask][:, target], p[mask][:, target]
        covariance = np.cov(x, y, bias=True)
        expected.append(2 * covariance[0, 1] / (covariance.trace() + (x.mean() - y.mean()) ** 2))
    assert losses.ccc_loss(g, p, mask).numpy() == pytest.approx(1 - np.mean(expected))


def test_shapes_that_would_broadcast_are_refused():
    for shape in [(B, N, 1), (B, 1, D), (1, N, D)]:
        with pytest.raises(ValueError, match="incompatible"):
            losses.label_loss(np.zeros((B, N, D)), np.zeros(shape))
    with pytest.raises(ValueError, match="incompatible"):
        losses.label_loss(np.zeros((B, N, D)), np.zeros((B, N, D)), np.ones((B, 1)))
    with pytest.raises(ValueError, match="13 intervals in clips of 12 frames"):
        losses.local_loss(np.zeros((B, N, D)), np.zeros((B, N, D)), num_intervals=13)


def _layer_inputs(clips):
    names = ("labels", "predictions", "twin_labels", "twin_predictions", "mask", "twin_mask")
    return {name: tf.constant(array) for name, array in zip(names, clips, strict=True)}


def test_layer_adds_and_reports_the_terms(clips):
    clips = [a.astype(np.float32) for a in clips[:4]] + list(clips[4:])
    weights = config.LossWeights(label=2, trend=3, local=4, global_=5, siamese=6, num_intervals=4)
    layer = losses.SiameseTemporalLoss(weights)
    result = layer(_layer_inputs(clips))
    g, p, tg, tp, m, tm = clips
    terms = {
        "label_loss": (per_clip(label, g, p, m) + per_clip(label, tg, tp, tm)) / 2,
        "trend_loss": (per_clip(trend, g, p, m) + per_clip(trend, tg, tp, tm)) / 2,
        "local_loss": (
            np.array([local(*c, intervals=4) for c in zip(g, p, m, strict=True)])
            + np.array([local(*c, intervals=4) for c in zip(tg, tp, tm, strict=True)])
        )
        / 2,
        "global_loss": (per_clip(global_, g, p, m) + per_clip(global_, tg, tp, tm)) / 2,
        "siamese_loss": per_clip(siamese, *clips),
    }
    expected = sum(w * t for w, t in zip((2, 3, 4, 5, 6), terms.values(), strict=True))
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    assert float(layer.losses[0]) == pytest.approx(expected.mean(), rel=1e-5)
    reported = {metric.name: float(metric.result()) for metric in layer.metrics}
    assert reported == pytest.approx({k: v.mean() for k, v in terms.items()}, rel=1e-5)


def test_a_term_of_weight_zero_is_switched_off(clips):
    layer = losses.SiameseTemporalLoss(config.LossWeights(trend=0, local=0, global_=0, siamese=0))
    result = layer(_layer_inputs([a.astype(np.float32) for a in clips[:4]] + list(clips[4:])))
    assert [metric.name for metric in layer.metrics] == ["label_loss"]
    g, p, tg, tp, m, tm = clips
    expected = (per_clip(label, g, p, m) + per_clip(label, tg, tp, tm)) / 2
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("term", TERMS)
def test_targets_with_different_masks_are_summed(term, clips):
    g, p, *_, mask, other = clips
    masks = np.stack([mask, other], axis=-1)
    per_target = [
        per_clip(REFERENCE[term], g[..., d : d + 1], p[..., d : d + 1], masks[..., d])
        for d in range(D)
    ]
    np.testing.assert_allclose(term(g, p, masks), sum(per_target), rtol=1e-5)


def test_siamese_loss_with_different_masks_of_targets(clips):
    g, p, tg, tp, mask, twin_mask = clips
    masks = np.stack([mask, twin_mask], axis=-1)
    twin_masks = masks[::-1]
    per_target = [
        per_clip(
            siamese, *(a[..., d : d + 1] for a in (g, p, tg, tp)), masks[..., d], twin_masks[..., d]
        )
        for d in range(D)
    ]
    result = losses.siamese_loss(g, p, tg, tp, masks, twin_masks)
    np.testing.assert_allclose(result, sum(per_target), rtol=1e-5)


def test_ccc_loss_with_different_masks_of_targets(clips):
    g, p, *_, mask, other = clips
    masks = np.stack([mask, other], axis=-1)
    per_target = [
        losses.ccc_loss(g[..., d : d + 1], p[..., d : d + 1], masks[..., d]).numpy()
        for d in range(D)
    ]
    assert losses.ccc_loss(g, p, masks).numpy() == pytest.approx(np.mean(per_target))
