"""Scores of an expression classifier: accuracy, F1, and the confusion matrix with its figure."""

import pathlib

import matplotlib.figure
import numpy as np

from ast_net.reports import figures, tables


def tabulate(labels: np.ndarray, predicted: np.ndarray, classes: tuple[str, ...]) -> dict:
    """Counts the confusions of a classifier and computes its scores.

    Args:
      labels, predicted: indices of the true and the predicted classes, int [n].
      classes: the names of the classes.

    Returns:
      {"pictures": n, "accuracy", "macro_f1", "f1": {class}, "recall": {class}, "classes",
      "confusion": a row for each true class}. A class neither true nor predicted anywhere has F1 0.
    """
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    correct = np.diag(counts)
    true_counts, predicted_counts = counts.sum(axis=1), counts.sum(axis=0)
    f1 = 2 * correct / np.maximum(true_counts + predicted_counts, 1)
    recall = correct / np.maximum(true_counts, 1)
    return {
        "pictures": int(counts.sum()),
        "accuracy": float(correct.sum() / counts.sum()),
        "macro_f1": float(f1.mean()),
        "f1": dict(zip(classes, f1.tolist(), strict=True)),
        "recall": dict(zip(classes, recall.tolist(), strict=True)),
        "classes": list(classes),
        "confusion": counts.tolist(),
    }


def write(folder: pathlib.Path, table: dict, title: str) -> None:
    """Writes metrics.json and figures/confusion.png."""
    tables.write_json(folder / "metrics.json", table)
    figures.save(confusion_figure(table, title), folder / "figures" / "confusion.png")


def confusion_figure(table: dict, title: str) -> matplotlib.figure.Figure:
    """Draws the confusion matrix, each row in percent of its true class."""
    classes, counts = table["classes"], np.array(table["confusion"])
    percent = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = matplotlib.figure.Figure(figsize=(6.6, 5.8), layout="constrained")
    axes = figure.add_subplot()
    matrix = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(*percent.shape):
        colour = "white" if percent[row, column] > 55 else "black"
        text = f"{percent[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    names = [f"{name}\nF1 {table['f1'][name]:.2f}" for name in classes]
    axes.set_yticks(range(len(classes)), names, fontsize=9)
    axes.set_xticks(range(len(classes)), classes, fontsize=9, rotation=30)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(
        f"{title}\naccuracy {table['accuracy']:.3f}, macro F1 {table['macro_f1']:.3f}, "
        f"{table['pictures']:,} pictures",
        fontsize=10,
    )
    figure.colorbar(matrix, label="% of the true class", shrink=0.8)
    return figure


def format_table(table: dict) -> str:
    """Formats the scores for a terminal."""
    rows: list[tables.Row] = [
        {"class": name, "F1": table["f1"][name], "recall": recall, "pictures": sum(counts)}
        for (name, recall), counts in zip(table["recall"].items(), table["confusion"], strict=True)
    ]
    summary = f"accuracy {table['accuracy']:.4f}, macro F1 {table['macro_f1']:.4f}"
    return f"{tables.text(rows, digits=3)}\n{summary}"
