"""The scores of a reproduction's runs: read from their metrics.json, and brought together."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ast_net import files
from ast_net.reports import paired_tests, paper, tables
from ast_net.temporal import scoring

# The headline of an evaluation, as the challenges score.
PROTOCOL = "rated"


@dataclasses.dataclass(frozen=True)
class RunEvaluation:
    """Where a run's evaluation of a partition lies; several folds of a row and seed are one series.

    Attributes:
      row: what was compared, one of `config.ROWS`.
      seed: of the run; 0 for what is not drawn by chance.
      folder: with metrics.json and predictions.csv.
    """

    row: str
    seed: int
    folder: pathlib.Path


class Scores:
    """The scores of all rows and seeds over the recordings of one partition.

    Attributes:
      split: train, dev or test.
      evaluations: what was read.
      targets: the names of the targets, and then the average.
      chose_epoch: whether these recordings chose the epochs of the trained rows.
      reaction_delay: seconds, of each target; of the first fold.
    """

    def __init__(self, evaluations: Sequence[RunEvaluation]) -> None:
        """Reads the metrics of the runs.

        Args:
          evaluations: of the same recordings for each row and seed.

        Raises:
          InputError: a file is missing or damaged.
        """
        self.evaluations = list(evaluations)
        self._by_run: dict[tuple[str, int], dict[str, Any]] = {}
        self._epochs: dict[str, list[int]] = {}
        self.chose_epoch = False
        for evaluation in evaluations:
            path = evaluation.folder / "metrics.json"
            with files.reading(path, "JSON"):
                document = json.loads(path.read_text())
                recordings = {
                    name: protocols[PROTOCOL] for name, protocols in document["recordings"].items()
                }
                self.split: str = document["split"]
                self.chose_epoch |= bool(document["chose_epoch"])
                self.targets = list(document["protocols"][PROTOCOL])
                if not self._by_run:
                    self.reaction_delay: list[float] = document["reaction_delay"]
                self._epochs.setdefault(evaluation.row, []).append(int(document["epoch"]))
            key = evaluation.row, evaluation.seed
            self._by_run.setdefault(key, {}).update(recordings)

    @property
    def rows(self) -> list[str]:
        """What was compared, in the order in which it was given."""
        return list(dict.fromkeys(row for row, _ in self._by_run))

    @property
    def recordings(self) -> list[str]:
        """The names of the recordings."""
        return list(dict.fromkeys(name for run in self._by_run.values() for name in run))

    @property
    def seeds(self) -> int:
        """The largest number of seeds of any row."""
        return max(len(self.runs(row)) for row in self.rows)

    def runs(self, row: str) -> list[dict[str, Any]]:
        """Returns {recording: {target: `scoring.score_recording`}} for each seed of a row."""
        return [run for (name, _), run in self._by_run.items() if name == row]

    def epochs(self, row: str) -> tuple[int, int]:
        """Returns the earliest and the latest epoch that was chosen in the runs of a row."""
        return min(self._epochs[row]), max(self._epochs[row])

    def values(self, row: str, target: str, metric: str = "cc") -> list[dict[str, float]]:
        """Returns {recording: value} for each seed, without recordings where it is undefined."""
        runs = [
            {name: scores[target][metric] for name, scores in run.items()} for run in self.runs(row)
        ]
        return [{n: value for n, value in run.items() if value is not None} for run in runs]

    def over_seeds(self, row: str, target: str, metric: str = "cc") -> dict[str, float]:
        """Returns the mean over seeds of each recording."""
        runs = self.values(row, target, metric)
        return {
            name: float(np.mean([run[name] for run in runs if name in run]))
            for name in dict.fromkeys(name for run in runs for name in run)
        }

    def row(self, row: str, target: str) -> tables.Row:
        """Summarises a row: each figure over recordings first, then its mean over seeds.

        `sd` is of the mean CC over seeds (n - 1 in the denominator), `above` the share of
        recordings whose CC, the mean over seeds, is above 0.5. The steps are the mean absolute
        differences of neighbouring frames, of the predictions and of the gold standard.
        """
        cc = [list(run.values()) for run in self.values(row, target)]
        means = [float(np.mean(values)) for values in cc if values]
        over_seeds = list(self.over_seeds(row, target).values())
        result: tables.Row = {
            "row": row,
            "seeds": len(cc),
            "recordings": len(over_seeds),
            "max": _mean([max(values) for values in cc if values]),
            "min": _mean([min(values) for values in cc if values]),
            "mean": _mean(means),
            "sd": float(np.std(means, ddof=1)) if len(means) > 1 else None,
            "above": _mean([float(value > paper.FIGURE_6_THRESHOLD) for value in over_seeds]),
        }
        for metric in ("ccc", "rmse"):
            runs = self.values(row, target, metric)
            result[metric] = _mean([_mean([*run.values()]) for run in runs])
        steps = {
            kind: _mean(
                [
                    _mean([scores[target]["smoothness"][kind] for scores in run.values()])
                    for run in self.runs(row)
                ]
            )
            for kind in ("predictions", "labels")
        }
        result["prediction_step"], result["label_step"] = steps["predictions"], steps["labels"]
        return result

    def differences(self, target: str, reference: str) -> dict[str, paired_tests.Difference]:
        """Compares each row with a reference row, over recordings."""
        others = {row: self.over_seeds(row, target) for row in self.rows if row != reference}
        return paired_tests.compare(others, self.over_seeds(reference, target))

    def long_table(self) -> Iterator[tables.Row]:
        """Yields a row for each run, recording and target, for R and spreadsheets."""
        for (row, seed), run in self._by_run.items():
            for recording, targets in run.items():
                for target, scores in targets.items():
                    smoothness = scores["smoothness"]
                    yield {
                        "split": self.split,
                        "row": row,
                        "seed": seed,
                        "recording": recording,
                        "target": target,
                        **{metric: scores[metric] for metric in scoring.METRICS},
                        "prediction_step": smoothness["predictions"],
                        "label_step": smoothness["labels"],
                    }


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
