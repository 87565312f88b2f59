"""Writes predictions as annotations for ELAN, an annotation program, in its EAF format 3.0."""

import contextlib
import datetime
import pathlib
from collections.abc import Callable, Iterator, Sequence
from xml.etree import ElementTree

from ast_net import files
from ast_net.prediction import frames, second_means

_TYPE = "prediction"


@contextlib.contextmanager
def writer(
    path: pathlib.Path, targets: Sequence[str], video: pathlib.Path | None
) -> Iterator[Callable[[frames.FramePrediction], None]]:
    """Yields a function that takes frames; the file appears at the end, without an error.

    It has a tier for each target of each face, such as "valence, face 0". An annotation of each
    second is the mean of the smooth values in it; seconds in which the face is not visible have
    none.

    Args:
      path: the .eaf file.
      targets: names of the D targets.
      video: the video that ELAN shows with it; None for a camera.

    Raises:
      OSError: the disk is full or read-only.
    """
    means = second_means.SecondMeans(len(targets))
    yield means.add
    tiers = {
        f"{target}, face {face_id}": {
            second: values[column] for second, (values, _) in seconds.items()
        }
        for face_id, seconds in means.of_faces().items()
        for column, target in enumerate(targets)
    }
    with files.whole(path) as temporary:
        _document(tiers, video).write(temporary, "utf-8", xml_declaration=True)


def _document(
    tiers: dict[str, dict[int, float]], video: pathlib.Path | None
) -> ElementTree.ElementTree:
    """Makes the document; tiers: {name: {second: value}}."""
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "AST-Net",
            "DATE": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    header = _add(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    if video is not None:
        url = video.resolve().as_uri()
        _add(header, "MEDIA_DESCRIPTOR", MEDIA_URL=url, MIME_TYPE="video/mp4")
    times = _add(root, "TIME_ORDER")
    ends = sorted({end for values in tiers.values() for k in values for end in (k, k + 1)})
    for end in ends:
        _add(times, "TIME_SLOT", TIME_SLOT_ID=f"ts{end}", TIME_VALUE=str(1000 * end))
    number = 0
    for name, values in tiers.items():
        tier = _add(root, "TIER", LINGUISTIC_TYPE_REF=_TYPE, TIER_ID=name)
        for second, value in values.items():
            number += 1
            annotation = _add(
                _add(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{number}",
                TIME_SLOT_REF1=f"ts{second}",
                TIME_SLOT_REF2=f"ts{second + 1}",
            )
            _add(annotation, "ANNOTATION_VALUE").text = f"{value:.3f}"
    _add(root, "LINGUISTIC_TYPE", LINGUISTIC_TYPE_ID=_TYPE, TIME_ALIGNABLE="true")
    ElementTree.indent(root)
    return ElementTree.ElementTree(root)


def _add(parent: ElementTree.Element, tag: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, attributes)
