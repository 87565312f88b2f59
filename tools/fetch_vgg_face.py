"""Fetches VGG-Face's weights for --backbone=vgg16, and checks them.

    tools/run tools/fetch_vgg_face.py [--source=deepface|oxford] [--folder=data/vgg_face]

A download that breaks off goes on where it stopped when called again. The weights are for research, not
for commercial use: https://www.robots.ox.ac.uk/~vgg/software/vgg_face/.
"""

import argparse
import dataclasses
import hashlib
import http.client
import pathlib
import sys
import urllib.error
import urllib.request

import tqdm

from ast_net import errors
from ast_net.cnn import backbone

_TIMEOUT = 60  # seconds without a byte
_PIECE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a file is, its size for people, and its MD5 where its owners publish one."""

    url: str
    megabytes: int
    md5: str | None = None


SOURCES = {
    # Its owners publish no checksum: every layer's shape and values are checked instead.
    "deepface": Source(
        "https://github.com/serengil/deepface_models/releases/download/v1.0/vgg_face_weights.h5",
        580,
    ),
    # The MD5 is in the table of MatConvNet's page of pretrained models.
    "oxford": Source(
        "https://www.vlfeat.org/matconvnet/models/vgg-face.mat",
        1086,
        "3d6cd504bf9c98af4a561aad059565d1",
    ),
}


def fetch(source: Source, folder: pathlib.Path) -> pathlib.Path:
    """Downloads the file unless it is there, checks it, and gives its path.

    Raises:
      InputError: it cannot be reached, breaks off, or is not what it should be.
    """
    path = folder / source.url.rpartition("/")[2]
    if path.is_file():
        print(f"{path} is there already", flush=True)
        check(path, source)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part.{path.name}")
    try:
        download(source.url, part)
    except (OSError, http.client.HTTPException) as error:
        raise errors.InputError(
            f"{source.url}: {error}.\nCall again to go on where it stopped. Without internet here, fetch "
            f"this file ({source.megabytes} MB) on another machine, copy it to {path}, and call again to "
            "check it"
        ) from error
    try:
        check(part, source)
    except errors.InputError:
        part.unlink()
        raise
    return part.replace(path)


def download(url: str, part: pathlib.Path) -> None:
    """Appends to the part file what of the address is not there yet."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:  # nothing lies beyond what is there
            return
        raise
    with response:
        resumed = response.status == 206
        have = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm.tqdm(desc=part.name, initial=have, total=total, unit="B", unit_scale=True) as bar,
        ):
            while piece := response.read(_PIECE):
                file.write(piece)
                bar.update(len(piece))
    found = part.stat().st_size
    if total is not None and found < total:
        raise OSError(f"the connection broke after {found:,} of {total:,} bytes")


def check(path: pathlib.Path, source: Source) -> None:
    """Compares the checksum, if there is one, and reads all layers into `vgg16`.

    Raises:
      InputError: the file is not what it should be.
    """
    print(f"checking {path}", flush=True)
    if source.md5 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != source.md5:
            raise errors.InputError(
                f"{path}: its MD5 is {found}, expected {source.md5}: the file is damaged or another one; "
                "delete it and call again"
            )
    backbone.load("vgg16", str(path))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", choices=SOURCES, default="deepface")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("data/vgg_face"))
    arguments = parser.parse_args()
    try:
        path = fetch(SOURCES[arguments.source], arguments.folder)
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    identity = backbone.weights_id("vgg16", str(path))
    print(f"good: --backbone=vgg16 --backbone_weights={path} (weights {identity})")


if __name__ == "__main__":
    main()
