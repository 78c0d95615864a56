"""CIFAR-10 and CIFAR-100 from their official address.

Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import NamedTuple

from evaluators.data.download import download
from evaluators.data.files.sources import CIFAR_FOLDERS, find_files
from evaluators.data.progress import Progress
from evaluators.lease import alone


class Archive(NamedTuple):
    url: str
    md5: str


# addresses and checksums: https://www.cs.toronto.edu/~kriz/cifar.html
ARCHIVES = {
    "cifar10": Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
    ),
    "cifar100": Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
    ),
}


def fetch_archive(name: str, root: Path, progress: Progress) -> None:
    """Put the data set into ``root``, unless it is there; raises as ``download`` does."""
    if _is_there(name, root):
        return
    root.mkdir(parents=True, exist_ok=True)
    with alone(root / f".{name}.lock"):
        if not _is_there(name, root):
            _fetch(name, root, progress)


def _is_there(name: str, root: Path) -> bool:
    try:
        find_files(name, root)
    except ValueError:
        return False
    return True


def _fetch(name: str, root: Path, progress: Progress) -> None:
    url, md5 = ARCHIVES[name]
    archive = root / url.rpartition("/")[2]

    def tell(done: int, total: int) -> None:
        progress(f"downloading {name}", done, total)

    download(url, archive, md5=md5, progress=tell)
    unpacked = root / f".{name}.unfinished"
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
    folder = CIFAR_FOLDERS[name]
    shutil.rmtree(root / folder, ignore_errors=True)  # it lacks files
    (unpacked / folder).replace(root / folder)
    shutil.rmtree(unpacked)
    archive.unlink()
