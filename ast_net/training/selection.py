"""Chooses the best epoch of a run."""

import math
from collections.abc import Mapping, Sequence

from ast_net import config

Row = Mapping[str, float]


def first_full_loss_epoch(training: config.Training, loss: config.LossWeights) -> int:
    """Returns the first epoch, counted from 0, that is trained with the full loss.

    During the warm-up before it, the weights of the local, global and Siamese terms are reduced. If
    all three are 0, every epoch has the full loss.
    """
    return training.warmup_epochs if loss.local or loss.global_ or loss.siamese else 0


def score(row: Row, select_by: str) -> float:
    """Returns the mean CC or CCC of the targets on dev, ignoring undefined ones; NaN if all are.

    Args:
      row: a row of history.csv.
      select_by: "cc" or "ccc".
    """
    values = [v for name, v in row.items() if name.startswith(f"dev_{select_by}_")]
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def best(scores: Sequence[float], first: int) -> int:
    """Returns the first epoch with the highest score; -1 if there are no epochs.

    Args:
      scores: the score of each epoch; NaN is lower than any number.
      first: the first epoch that may be chosen. If there are not that many, the last epoch is
        returned.
    """
    if len(scores) <= first:
        return len(scores) - 1
    rank = [-math.inf if math.isnan(s) else s for s in scores]
    return max(range(first, len(scores)), key=rank.__getitem__)
