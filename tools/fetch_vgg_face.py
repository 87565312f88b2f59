"""Downloads VGG-Face's weights for --backbone=vgg16, and checks them.

    tools/run tools/fetch_vgg_face.py [--source=deepface|oxford] [--folder=data/vgg_face]

If the download breaks off, the same command continues it. The weights are for research, not for
commercial use: https://www.robots.ox.ac.uk/~vgg/software/vgg_face/.
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
    """A file's address, its size (for messages), and its MD5 if its owners publish one."""

    url: str
    megabytes: int
    md5: str | None = None


SOURCES = {
    # Its owners publish no checksum; the shape and values of every layer are checked instead.
    "deepface": Source(
        "https://github.com/serengil/deepface_models/releases/download/v1.0/vgg_face_weights.h5",
        580,
    ),
    # The MD5 is from the table on MatConvNet's page of pretrained models.
    "oxford": Source(
        "https://www.vlfeat.org/matconvnet/models/vgg-face.mat",
        1086,
        "3d6cd504bf9c98af4a561aad059565d1",
    ),
}


def fetch(source: Source, folder: pathlib.Path) -> pathlib.Path:
    """Downloads the file if it does not exist, checks it, and returns its path.

    Raises:
      InputError: the file cannot be downloaded, or is damaged or another one.
    """
    path = folder / source.url.rpartition("/")[2]
    if path.is_file():
        print(f"{path} exists already", flush=True)
        check(path, source)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part.{path.name}")
    try:
        download(source.url, part)
    except (OSError, http.client.HTTPException) as error:
        raise errors.InputError(
            f"{source.url}: {error}.\nCall this again to continue the download. If this machine "
            f"has no internet, download the file ({source.megabytes} MB) on another machine, copy "
            f"it to {path}, and call this again to check it"
        ) from error
    try:
        check(part, source)
    except errors.InputError:
        part.unlink()
        raise
    return part.replace(path)


def download(url: str, part: pathlib.Path) -> None:
    """Downloads a file; continues if the part file has the beginning of it."""
    size = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={size}-"} if size else {})
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if size and error.code == 416:  # range not satisfiable: the part is already complete
            return
        raise
    with response:
        resumed = response.status == 206
        size = size if resumed else 0
        length = response.headers.get("Content-Length")
        total = size + int(length) if length else None
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm.tqdm(desc=part.name, initial=size, total=total, unit="B", unit_scale=True) as bar,
        ):
            while piece := response.read(_PIECE):
                file.write(piece)
                bar.update(len(piece))
    size = part.stat().st_size
    if total is not None and size < total:
        raise OSError(f"the connection broke after {size:,} of {total:,} bytes")


def check(path: pathlib.Path, source: Source) -> None:
    """Checks the MD5, if there is one, and loads all layers into `vgg16`.

    Raises:
      InputError: the file is damaged or another one.
    """
    print(f"checking {path}", flush=True)
    if source.md5 is not None:
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        if md5 != source.md5:
            raise errors.InputError(
                f"{path}: its MD5 is {md5}, expected {source.md5}; the file is damaged or another "
                "one: delete it, and call this again"
            )
    backbone.load("vgg16", str(path))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--source", choices=SOURCES, default="deepface", help="whose file to download"
    )
    parser.add_argument(
        "--folder",
        type=pathlib.Path,
        default=pathlib.Path("data/vgg_face"),
        help="folder for the file",
    )
    arguments = parser.parse_args()
    try:
        path = fetch(SOURCES[arguments.source], arguments.folder)
    except errors.InputError as error:
        sys.exit(f"error: {error}")
    digest = backbone.weights_id("vgg16", str(path))
    print(f"The file is complete (weights {digest}); use it by")
    print(f"  --backbone=vgg16 --backbone_weights={path}")


if __name__ == "__main__":
    main()
