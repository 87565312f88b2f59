"""How well expressions are told apart: accuracy, F1, the confusion matrix and its figure."""

import json
import pathlib

import matplotlib.figure
import numpy as np

from ast_net import files


def tabulate(labels: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...]) -> dict:
    """The figures of a classification.

    Args:
      labels, predicted: classes by number, [n].
      classes: their names.

    Returns:
      {"accuracy", "macro_f1", "f1": {class}, "recall": {class}, "confusion": one row a true class,
      "pictures": n}. A class that is neither there nor predicted has F1 0.
    """
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    right, there, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    f1 = 2 * right / np.maximum(there + said, 1)
    recall = right / np.maximum(there, 1)
    return {
        "pictures": int(counts.sum()),
        "accuracy": float(right.sum() / counts.sum()),
        "macro_f1": float(f1.mean()),
        "f1": dict(zip(classes, f1.tolist(), strict=True)),
        "recall": dict(zip(classes, recall.tolist(), strict=True)),
        "classes": list(classes),
        "confusion": counts.tolist(),
    }


def write(folder: pathlib.Path, table: dict, title: str) -> None:
    """Writes metrics.json and figures/confusion.png."""
    with files.whole(folder / "metrics.json") as path:
        path.write_text(json.dumps(table, indent=2, allow_nan=False) + "\n")
    with files.whole(folder / "figures" / "confusion.png") as path:
        confusion_figure(table, title).savefig(path, dpi=120)


def confusion_figure(table: dict, title: str) -> matplotlib.figure.Figure:
    """The confusion matrix, each row in percent of its true class."""
    classes, counts = table["classes"], np.array(table["confusion"])
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = matplotlib.figure.Figure(figsize=(6.6, 5.8), layout="constrained")
    axes = figure.add_subplot()
    drawn = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(*percent.shape):
        value = percent[row, column]
        colour = "white" if value > 55 else "black"
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour)
    names = [f"{name}\nF1 {table['f1'][name]:.2f}" for name in classes]
    axes.set_yticks(range(len(classes)), names, fontsize=9)
    axes.set_xticks(range(len(classes)), classes, fontsize=9, rotation=30)
    axes.set_ylabel("true")
    axes.set_xlabel("predicted")
    axes.set_title(
        f"{title}\naccuracy {table['accuracy']:.3f}, macro F1 {table['macro_f1']:.3f}, "
        f"{table['pictures']:,} pictures",
        fontsize=10,
    )
    figure.colorbar(drawn, label="% of the true class", shrink=0.8)
    return figure


def format_table(table: dict) -> str:
    """The table as a person reads it on a terminal."""
    lines = [f"{'class':<12}{'F1':>8}{'recall':>8}{'pictures':>10}"]
    for name, row in zip(table["classes"], table["confusion"], strict=True):
        lines.append(
            f"{name:<12}{table['f1'][name]:>8.3f}{table['recall'][name]:>8.3f}{sum(row):>10}"
        )
    return "\n".join(
        [*lines, f"accuracy {table['accuracy']:.4f}, macro F1 {table['macro_f1']:.4f}"]
    )
