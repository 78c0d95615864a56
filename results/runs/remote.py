"""Run folders that are somewhere else: any URL that fsspec knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

REMOTE_FILES = (
    "events.db",
    "events.db-journal",
    "config.yaml",
    "environment.json",
    "trials.parquet",
    "epochs.parquet",
    "retrained.parquet",
)
"""What there is to read of a run; the journal undoes what a killed writer left half done."""
MARKS = ("events.db", "trials.parquet")
"""A folder with one of these is a run: its log, or only the tables, as published."""


def is_url(path: str | Path) -> bool:
    return isinstance(path, str) and "://" in path


@contextmanager
def local_copy(url: str) -> Iterator[Path]:
    """A local folder with the files of the run at ``url``, gone at the end; the folder itself, where it is local.

    Raises ``ValueError`` for a URL of an unknown kind or without a run, ``ImportError`` naming the package
    that a kind needs.
    """
    system, root = _open(url)
    if isinstance(system, LocalFileSystem):
        yield Path(root)
        return
    with TemporaryDirectory() as folder:
        found = [
            name
            for name in REMOTE_FILES
            if _fetch(system, f"{root}/{name}", Path(folder) / name)
        ]
        if not {*MARKS} & {*found}:
            raise ValueError(f"{url}: no run folder, there is no events.db in it")
        yield Path(folder)


def matching_runs(pattern: str) -> list[str]:
    """The run folders that a pattern such as ``s3://bucket/runs/*`` matches, sorted."""
    system, root = _open(pattern)
    found = {
        str(path).removesuffix(f"/{name}")
        for name in MARKS
        for path in system.glob(f"{root.rstrip('/')}/{name}")
    }
    return sorted(str(system.unstrip_protocol(folder)) for folder in found)


def _open(url: str) -> tuple[AbstractFileSystem, str]:
    try:
        # fsspec picks the file system by the scheme: s3, gs, http, ...
        system, root = fsspec.core.url_to_fs(url)
    except ValueError as error:
        raise ValueError(f"{url}: {error}") from error
    return system, str(root)


def _fetch(system: AbstractFileSystem, source: str, target: Path) -> bool:
    try:
        system.get_file(source, str(target))
    except FileNotFoundError:
        return False
    return True
