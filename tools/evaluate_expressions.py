"""Measures trained expression weights on a split of FER2013 and prints accuracy and F1.

    tools/run tools/evaluate_expressions.py --manual_dir=FOLDER_OF_fer2013.csv

By default those that come with the package; --weights=FOLDER measures what ast_net.finetune left there.
"""

import argparse
import pathlib
import sys

from ast_net import errors, shipped
from ast_net.records import expression_pictures
from ast_net.reports import confusion
from ast_net.training import expressions


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=pathlib.Path)
    parser.add_argument("--backbone", choices=("compact", "vgg16"), default="compact")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--manual_dir")
    parser.add_argument("--split", default="private_test")
    arguments = parser.parse_args()
    backbone_weights, head_weights = shipped.COMPACT, shipped.COMPACT_HEAD
    if arguments.weights:
        backbone_weights = arguments.weights / expressions.BACKBONE_WEIGHTS
        head_weights = arguments.weights / expressions.HEAD_WEIGHTS
    try:
        splits = expression_pictures.load(arguments.data_dir, arguments.manual_dir)
        if arguments.split not in splits:
            raise errors.InputError(f"no split {arguments.split}, expected one of {sorted(splits)}")
        table = expressions.measure(
            arguments.backbone,
            backbone_weights,
            head_weights,
            splits[arguments.split],
        )
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    print(confusion.format_table(table))


if __name__ == "__main__":
    main()
