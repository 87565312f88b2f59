"""Measures trained expression weights on a split of FER2013 and prints accuracy and F1.

    tools/run tools/evaluate_expressions.py --weights=FOLDER --manual_dir=FOLDER_OF_fer2013.csv

FOLDER holds what ast_net.finetune leaves: backbone.weights.h5 and head.weights.h5.
"""

import argparse
import pathlib
import sys

from ast_net import errors
from ast_net.datasets import fer2013
from ast_net.training import confusion, finetuning


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=pathlib.Path, required=True)
    parser.add_argument("--backbone", choices=("compact", "vgg16"), default="compact")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--manual_dir")
    parser.add_argument("--split", default="private_test")
    arguments = parser.parse_args()
    try:
        splits = fer2013.load(arguments.data_dir, arguments.manual_dir)
        if arguments.split not in splits:
            raise errors.InputError(f"no split {arguments.split}, expected one of {sorted(splits)}")
        table = finetuning.measure(
            arguments.backbone,
            arguments.weights / finetuning.BACKBONE_WEIGHTS,
            arguments.weights / finetuning.HEAD_WEIGHTS,
            splits[arguments.split],
        )
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    print(confusion.format_table(table))


if __name__ == "__main__":
    main()
