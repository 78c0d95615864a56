"""Where the checkpoints of running trials are kept: a folder all nodes see, or any storage with a URL."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import tempfile
from collections.abc import Container
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import fsspec
import pyarrow as pa
from pyarrow import fs

from results import Event
from results.log.events import Finished


@dataclass(frozen=True)
class Checkpoints:
    """``place``: a folder, or a URL such as ``s3://bucket/run`` that pyarrow or an fsspec package knows.

    File names begin with the number of their trial and a hyphen.
    """

    place: str

    def fetch(self, name: str) -> Path:
        """The local file to continue from and to write to; of storage behind a URL, the newest copy there is."""
        path = self._folder / name
        if self._remote:
            system, place = open_place(self.place)
            self._delete_copies_of_the_dead()
            path.parent.mkdir(parents=True, exist_ok=True)
            # a copy of this machine may be older than what another has put there
            path.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                fs.copy_files(f"{place}/{name}", str(path), source_filesystem=system)
        return path

    def keep(self, path: Path) -> None:
        """Make safe what an evaluator has written to ``path``, whole or not at all."""
        if self._remote and path.exists():
            system, place = open_place(self.place)
            system.create_dir(place, recursive=True)
            fs.copy_files(
                str(path),
                f"{place}/{path.name}.unfinished",
                destination_filesystem=system,
            )
            # a worker may die while it copies: the name appears when the content is whole
            system.move(f"{place}/{path.name}.unfinished", f"{place}/{path.name}")

    def release(self, path: Path) -> None:
        """Delete what ``fetch`` gave, if it is a copy: the trial goes on elsewhere, or not at all."""
        if self._remote:
            path.unlink(missing_ok=True)

    def delete(self, trial: int, evaluators: int) -> None:
        """Delete the checkpoints of a trial that is over, of the first so many evaluators."""
        system, place = open_place(self.place)
        for number in range(evaluators):
            with suppress(FileNotFoundError):
                system.delete_file(f"{place}/{trial}-{number}.pt")

    def prove(self) -> None:
        """Write a file there and delete it.

        Raises:
            ValueError: if that cannot be done, with the reason.
        """
        try:
            system, place = open_place(self.place)
            system.create_dir(place, recursive=True)
            with system.open_output_stream(f"{place}/.writable") as file:
                file.write(b"")
            system.delete_file(f"{place}/.writable")
        except OSError as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"storage {self.place}: cannot be written ({reason:.200})"
            ) from error

    def discard(self, trials: Container[int]) -> None:
        """Delete the checkpoints of these trials, and the local copies of all."""
        if self._remote:
            shutil.rmtree(self._copies, ignore_errors=True)
        system, place = open_place(self.place)
        for file in system.get_file_info(fs.FileSelector(place, allow_not_found=True)):
            number, hyphen, _ = file.base_name.partition("-")
            if hyphen and number.isdecimal() and int(number) in trials:
                system.delete_file(file.path)

    @property
    def _remote(self) -> bool:
        return "://" in self.place

    @property
    def _folder(self) -> Path:
        if not self._remote:
            return Path(self.place)
        return self._copies / f"{socket.gethostname()}-{os.getpid()}"

    @property
    def _copies(self) -> Path:
        # by the place: two searches on one machine keep their copies apart
        digest = hashlib.sha256(self.place.encode())
        key = digest.hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"splitsearch-checkpoints-{key}"

    def _delete_copies_of_the_dead(self) -> None:
        """A worker that was killed could not release its copies."""
        for folder in self._copies.glob(f"{socket.gethostname()}-*"):
            try:
                process = int(folder.name.rpartition("-")[2])
                # signal 0 only asks whether it is there
                os.kill(process, 0)
            except ProcessLookupError:
                shutil.rmtree(folder, ignore_errors=True)
            except PermissionError:
                pass  # another user's worker, alive


class Sweeper:
    """A listener of the controller that deletes the checkpoints of each trial that is over.

    In a thread, since storage may be far away; what it could not delete, ``Checkpoints.discard`` does at the end.
    """

    def __init__(self, checkpoints: Checkpoints, evaluators: int) -> None:
        self._checkpoints = checkpoints
        self._evaluators = evaluators
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._thread.shutdown()

    def __call__(self, event: Event) -> None:
        if isinstance(event.content, Finished) and event.trial is not None:
            delete = self._checkpoints.delete
            self._thread.submit(delete, event.trial, self._evaluators)


def open_place(place: str) -> tuple[fs.FileSystem, str]:
    """The file system of a folder or URL, and the path there.

    Raises:
        ValueError: for a URL that no installed package knows.
    """
    if "://" not in place:
        return fs.LocalFileSystem(), place
    with suppress(pa.ArrowInvalid):
        system, path = fs.FileSystem.from_uri(place)
        return system, path
    try:
        system, path = fsspec.core.url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise ValueError(f"storage {place}: {error}") from error
    return fs.PyFileSystem(fs.FSSpecHandler(system)), path
