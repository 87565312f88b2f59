"""Which epoch of a run is the best one."""

import math
from collections.abc import Mapping, Sequence

from ast_net import config

Row = Mapping[str, float]


def first_whole_epoch(training: config.Training, loss: config.LossWeights) -> int:
    """Returns the first epoch, counted from 0, that is trained with the whole loss.

    Before it the warm-up scales the constraining terms down. Where none of them has a weight every epoch is
    whole.
    """
    return training.warmup_epochs if loss.local or loss.global_ or loss.siamese else 0


def score(row: Row, select_by: str) -> float:
    """Returns the mean of the targets' CC or CCC on dev, over those that are defined; NaN if none is.

    Args:
      row: of history.csv.
      select_by: cc or ccc.
    """
    values = [v for name, v in row.items() if name.startswith(f"dev_{select_by}_")]
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def best(scores: Sequence[float], first: int) -> int:
    """Returns the epoch with the highest score, the first of equals; -1 if there is none at all.

    Args:
      scores: of each epoch; NaN is lower than any number.
      first: the first epoch that may be chosen. If there is none as late, it is the last one.
    """
    if len(scores) <= first:
        return len(scores) - 1
    rank = [-math.inf if math.isnan(s) else s for s in scores]
    return max(range(first, len(scores)), key=rank.__getitem__)
