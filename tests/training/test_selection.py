"""The choice of the best epoch."""

import math

import pytest

from ast_net import config
from ast_net.training import selection


def test_the_best_epoch_is_trained_with_the_full_loss():
    scores = [0.9, 0.8, 0.5, 0.7, 0.7]
    assert selection.best(scores, 0) == 0
    assert selection.best(scores, 2) == 3, "the first of equal scores"
    assert selection.best(scores[:2], 2) == 1, "without a candidate the last epoch is kept"
    assert selection.best([], 2) == -1
    assert selection.best([math.nan, 0.1, math.nan], 0) == 1


def test_the_full_loss_starts_after_the_warmup_of_terms_with_a_weight():
    training = config.Training(warmup_epochs=5)
    full_loss = config.LossWeights()
    assert selection.first_full_loss_epoch(training, full_loss) == 5
    unscaled = config.LossWeights(local=0, global_=0, siamese=0)
    assert selection.first_full_loss_epoch(training, unscaled) == 0
    assert selection.first_full_loss_epoch(training, config.LossWeights(local=0, global_=0)) == 5
    assert selection.first_full_loss_epoch(config.Training(warmup_epochs=0), full_loss) == 0


def test_the_score_is_the_mean_over_targets_with_a_defined_cc():
    row = {"dev_cc_valence": math.nan, "dev_cc_arousal": 0.4, "dev_ccc_valence": 0.2}
    row |= {"dev_ccc_arousal": 0.3, "train_cc_arousal": 0.9, "dev_loss": 7.0}
    assert selection.score(row, "cc") == 0.4
    assert selection.score(row, "ccc") == pytest.approx(0.25)
    assert math.isnan(selection.score({"dev_cc_valence": math.nan}, "cc"))
