"""The numbers published in Tables 1 to 4 of Wang and Hsu, AST-Net, BMVC 2017.

CC is computed for each recording. No number here was computed by this package.
"""

from typing import NamedTuple


class LossRow(NamedTuple):
    """A row of Table 1: maximum, minimum and mean CC over recordings."""

    highest: float
    lowest: float
    mean: float


class Method(NamedTuple):
    """A row of Tables 2 to 4: mean CC over recordings, and the average as printed."""

    name: str
    arousal: float
    valence: float
    average: float


class Comparison(NamedTuple):
    """One of Tables 2 to 4.

    Attributes:
      number: the number of the table.
      dataset: the name of the data set in `config.DATASETS`.
      title: data set and partition in words.
      split: the partition, dev or test.
      modality: the input of the methods, as far as the paper describes it.
      methods: the methods in the paper's order; its own is last.
    """

    number: int
    dataset: str
    title: str
    split: str
    modality: str
    methods: tuple[Method, ...]


# Table 1: valence, AVEC2012's development set.
TABLE_1_DATASET, TABLE_1_SPLIT, TABLE_1_TARGET = "avec2012", "dev", "valence"
TABLE_1 = {
    "La": LossRow(0.7903, 0.1516, 0.4241),
    "T": LossRow(0.7190, 0.0964, 0.3965),
    "La+T": LossRow(0.8182, 0.1779, 0.4757),
    "La+S": LossRow(0.8098, 0.2121, 0.4282),
    "La+T+S": LossRow(0.7939, 0.2253, 0.4593),
    "La+T+G": LossRow(0.7616, 0.2436, 0.4886),
    "La+T+Lo": LossRow(0.8157, 0.1802, 0.4968),
    "La+Lo+G": LossRow(0.8191, 0.1325, 0.3843),
    "La+T+Lo+G": LossRow(0.7931, 0.1864, 0.5047),
    "La+T+Lo+G+S": LossRow(0.8789, 0.2337, 0.5874),
}
# Section 4.4 on Figure 6: "over 70 % of videos have CC > 0.5", with the full loss.
FIGURE_6_THRESHOLD, FIGURE_6_SHARE = 0.5, 0.7

COMPARISONS = (
    Comparison(
        2,
        "avec2012",
        "AVEC2012, development set",
        "dev",
        "most methods use audio and video, AST-Net only video",
        (
            Method("Stepwise HMM [20]", 0.3964, 0.2348, 0.3156),
            Method("Fuzzy System [30]", 0.52, 0.47, 0.495),
            Method("Dynamic Cues [19]", 0.644, 0.350, 0.497),
            Method("AST-Net (the paper)", 0.5870, 0.5874, 0.5872),
        ),
    ),
    Comparison(
        3,
        "avec2012",
        "AVEC2012, test set",
        "test",
        "most methods use audio and video, AST-Net only video",
        (
            Method("Stepwise HMM [20]", 0.3248, 0.1825, 0.25365),
            Method("Correlated Spaces [18]", 0.46, 0.2, 0.33),
            Method("CCRF [1]", 0.341, 0.326, 0.3335),
            Method("TDNN [16]", 0.444, 0.308, 0.376),
            Method("Baysian Fusion [27]", 0.48, 0.35, 0.415),
            Method("Fuzzy System [30]", 0.42, 0.42, 0.42),
            Method("Dynamic Cues [19]", 0.61, 0.341, 0.4755),
            Method("3D Model [4]", 0.564, 0.454, 0.509),
            # The mean of the two printed numbers is 0.5402.
            Method("AST-Net (the paper)", 0.5442, 0.5362, 0.5403),
        ),
    ),
    Comparison(
        4,
        "recola",
        "RECOLA, development set (9 recordings)",
        "dev",
        "only video",
        (
            Method("AVEC 2015 baseline (appearance) [26]", 0.183, 0.358, 0.2705),
            Method("AVEC 2015 baseline (geometric) [26]", 0.361, 0.423, 0.392),
            Method("ETS System (appearance) [2]", 0.173, 0.263, 0.218),
            Method("ETS System (geometric) [2]", 0.103, 0.389, 0.246),
            Method("LSTM-RNN (LGBP-TOP) [3]", 0.535, 0.463, 0.499),
            Method("Multimodal-RNN (appearance) [5]", 0.571, 0.496, 0.5335),
            Method("Multimodal-RNN (geometric) [5]", 0.471, 0.530, 0.5005),
            Method("Ensemble (appearance) [12]", 0.313, 0.313, 0.313),
            Method("Ensemble (geometric) [12]", 0.172, 0.401, 0.2865),
            Method("NN fusion system [25]", 0.427, 0.431, 0.429),
            Method("AST-Net (the paper)", 0.4783, 0.4445, 0.4614),
        ),
    ),
)
