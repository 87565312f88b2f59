"""Evaluates trained weights on FER2013 or FER+ and prints accuracy, F1 and recall.

    tools/run tools/evaluate_expressions.py --manual_dir=FOLDER_OF_fer2013.csv

By default these are the package's own weights; --weights=FOLDER takes those of a run. Of FER+ the
pictures are those on which its paper measures accuracy: one expression has more than half of the
votes, not counting votes that only one person gave.
"""

import argparse
import pathlib
import sys

from ast_net import errors
from ast_net.reports import confusion
from ast_net.training import expression_examples, expressions


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=pathlib.Path, help="workdir of a finetune run")
    parser.add_argument(
        "--backbone", choices=("compact", "vgg16"), default="compact", help="the CNN"
    )
    parser.add_argument(
        "--dataset",
        choices=("fer2013", "ferplus"),
        default="fer2013",
        help="data set to evaluate on",
    )
    parser.add_argument("--data_dir", default="data", help="folder of prepared data")
    parser.add_argument(
        "--manual_dir", help="folder that holds fer2013.csv; not needed once prepared"
    )
    parser.add_argument("--split", default="private_test", help="split to evaluate on")
    arguments = parser.parse_args()
    folder = arguments.weights
    weights = str(folder / expressions.BACKBONE_WEIGHTS) if folder else None
    try:
        examples = expression_examples.load(
            arguments.dataset, arguments.data_dir, arguments.manual_dir
        )
        if arguments.split not in examples.splits:
            raise errors.InputError(
                f"{arguments.dataset}: found no split {arguments.split}, expected one of "
                f"{', '.join(sorted(examples.splits))}"
            )
        table = expressions.measure(arguments.backbone, weights, examples, arguments.split)
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    print(confusion.format_table(table))


if __name__ == "__main__":
    main()
