"""Reads the scores of a reproduction's runs from their metrics.json and combines them."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ast_net import files
from ast_net.reports import paired_tests, paper, tables
from ast_net.temporal import scoring

# The protocol that the report uses: scoring as in the challenges.
PROTOCOL = "rated"


@dataclasses.dataclass(frozen=True)
class RunEvaluation:
    """The location of a run's evaluation on one partition.

    The folds of a cross-validation share a row and a seed; `Scores` combines their recordings.

    Attributes:
      row: one of `config.ROWS`.
      seed: the seed of the run; 0 for a baseline, which is not random.
      folder: the folder that contains metrics.json and predictions.csv.
    """

    row: str
    seed: int
    folder: pathlib.Path


class Scores:
    """The scores of all rows and seeds on the recordings of one partition.

    Attributes:
      split: the partition: train, dev or test.
      evaluations: the evaluations that were read.
      targets: the names of the targets, followed by "average".
      chose_epoch: whether the epochs of the trained rows were chosen on these recordings.
      reaction_delay: the reaction delay of each target in the first fold, in seconds.
    """

    def __init__(self, evaluations: Sequence[RunEvaluation]) -> None:
        """Reads the metrics of the runs.

        Args:
          evaluations: the evaluations; all rows and seeds have the same recordings.

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
                self.split = str(document["split"])
                self.chose_epoch |= bool(document["chose_epoch"])
                self.targets = list(document["protocols"][PROTOCOL])
                recordings = {
                    name: {target: _checked(protocols[PROTOCOL][target]) for target in self.targets}
                    for name, protocols in document["recordings"].items()
                }
                if not self._by_run:
                    self.reaction_delay = list(map(float, document["reaction_delay"]))
                self._epochs.setdefault(evaluation.row, []).append(int(document["epoch"]))
            key = evaluation.row, evaluation.seed
            self._by_run.setdefault(key, {}).update(recordings)

    @property
    def rows(self) -> list[str]:
        """The names of the rows, in the given order."""
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
        """Returns {recording: {target: result of `scoring.score_recording`}} for each seed."""
        return [run for (name, _), run in self._by_run.items() if name == row]

    def epochs(self, row: str) -> tuple[int, int]:
        """Returns the earliest and the latest of the epochs chosen in the runs of a row."""
        return min(self._epochs[row]), max(self._epochs[row])

    def values(self, row: str, target: str, metric: str = "cc") -> list[dict[str, float]]:
        """Returns {recording: value} for each seed, without undefined values."""
        runs = [
            {name: scores[target][metric] for name, scores in run.items()} for run in self.runs(row)
        ]
        return [{n: value for n, value in run.items() if value is not None} for run in runs]

    def mean_over_seeds(self, row: str, target: str, metric: str = "cc") -> dict[str, float]:
        """Returns {recording: mean over seeds}."""
        runs = self.values(row, target, metric)
        return {
            name: float(np.mean([run[name] for run in runs if name in run]))
            for name in dict.fromkeys(name for run in runs for name in run)
        }

    def summary(self, row: str, target: str) -> tables.Row:
        """Summarises a row: statistics over recordings for each seed, then their mean over seeds.

        `sd` is the standard deviation of the mean CC over seeds (n - 1 in the denominator). `above`
        is the share of recordings whose mean CC over seeds is above 0.5. `prediction_step` and
        `label_step` are the mean absolute differences between consecutive frames of the predictions
        and of the gold standard.
        """
        cc = [list(run.values()) for run in self.values(row, target)]
        means = [float(np.mean(values)) for values in cc if values]
        seed_means = list(self.mean_over_seeds(row, target).values())
        result: tables.Row = {
            "row": row,
            "seeds": len(cc),
            "recordings": len(seed_means),
            "max": scoring.mean([max(values) for values in cc if values]),
            "min": scoring.mean([min(values) for values in cc if values]),
            "mean": scoring.mean(means),
            "sd": float(np.std(means, ddof=1)) if len(means) > 1 else None,
            "above": scoring.mean([float(mean > paper.FIGURE_6_THRESHOLD) for mean in seed_means]),
        }
        for metric in ("ccc", "rmse"):
            runs = self.values(row, target, metric)
            result[metric] = scoring.mean([scoring.mean([*run.values()]) for run in runs])
        steps = {
            kind: scoring.mean(
                [
                    scoring.mean([scores[target]["smoothness"][kind] for scores in run.values()])
                    for run in self.runs(row)
                ]
            )
            for kind in ("predictions", "labels")
        }
        result["prediction_step"], result["label_step"] = steps["predictions"], steps["labels"]
        return result

    def differences(self, target: str, reference: str) -> dict[str, paired_tests.Difference]:
        """Compares each other row with a reference row, recording by recording."""
        others = {row: self.mean_over_seeds(row, target) for row in self.rows if row != reference}
        return paired_tests.compare(others, self.mean_over_seeds(reference, target))

    def long_table(self) -> Iterator[tables.Row]:
        """Yields a row for each run, recording and target (long format, as R expects)."""
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


def _checked(scores: dict[str, Any]) -> dict[str, Any]:
    """Returns the numbers of a recording's scores that are used here; None where undefined.

    Raises:
      ValueError, LookupError, TypeError: a number is missing, or is something else.
    """
    steps = {kind: _number(scores["smoothness"][kind]) for kind in ("predictions", "labels")}
    return {metric: _number(scores[metric]) for metric in scoring.METRICS} | {"smoothness": steps}


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
