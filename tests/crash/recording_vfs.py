"""What SQLite asks of the disk, recorded, and every state that a power loss could leave of it.

In the manner of ALICE (Pillai et al., OSDI 2014): what no sync has made durable may be there, be missing, come
alone or be torn, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest

from results.log import event_log

Files = dict[str, bytes]
_NUMBERS = count()


@dataclass(frozen=True)
class Operation:
    """``kind``: create, write, truncate, sync or delete; ``offset`` of a truncate is the new size."""

    kind: str
    name: str
    offset: int = 0
    data: bytes = b""

    def torn(self) -> Operation:
        return Operation(
            self.kind, self.name, self.offset, self.data[: len(self.data) // 2]
        )


class _File(apsw.VFSFile):  # type: ignore[misc]
    def __init__(self, name: Any, flags: Any, told: list[Operation]) -> None:
        path = Path(name if isinstance(name, str) else name.filename())
        self._told = told
        self._name = path.name
        if not path.exists():
            told.append(Operation("create", self._name))
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._told.append(Operation("write", self._name, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._told.append(Operation("truncate", self._name, newsize))
        super().xTruncate(newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._told.append(Operation("sync", self._name))
        super().xSync(flags)


class _Disk(apsw.VFS):  # type: ignore[misc]
    def __init__(self, name: str, told: list[Operation]) -> None:
        super().__init__(name, "")
        self._told = told

    def xOpen(self, name: Any, flags: Any) -> _File:  # noqa: N802
        return _File(name, flags, self._told)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        name = Path(filename).name
        self._told.append(Operation("delete", name))
        if syncdir:
            self._told.append(Operation("sync", name))


class _Connection:
    """As much of ``sqlite3.Connection`` as the log needs, on apsw."""

    def __init__(self, path: Path, vfs: str) -> None:
        self._connection = apsw.Connection(str(path), vfs=vfs)

    @property
    def in_transaction(self) -> bool:
        return bool(self._connection.in_transaction)

    def execute(self, statement: str, row: Sequence[Any] = ()) -> Any:
        rows = self._connection.execute(statement, row)
        last = self._connection.last_insert_rowid()
        return SimpleNamespace(
            fetchone=rows.fetchone, fetchall=rows.fetchall, lastrowid=last
        )

    executescript = execute

    def close(self) -> None:
        self._connection.close()


@contextmanager
def recorded(patch: pytest.MonkeyPatch) -> Iterator[list[Operation]]:
    """The list that all operations of logs opened meanwhile are added to."""
    told: list[Operation] = []
    disk = f"recording-{next(_NUMBERS)}"
    vfs = _Disk(disk, told)
    with patch.context() as patched:
        patched.setattr(
            event_log.sqlite3, "connect", lambda path, **_: _Connection(path, disk)
        )
        yield told
    vfs.unregister()


def crash_states(operations: Sequence[Operation]) -> Iterator[Files]:
    """What the disk may hold after a power loss that follows these operations."""
    durable, pending = _synced(operations)
    chosen: list[Sequence[Operation]] = [(), pending]
    for place, operation in enumerate(pending):
        chosen.append([operation])
        chosen.append([*pending[:place], *pending[place + 1 :]])
        if operation.kind == "write":
            chosen.append([*pending[:place], operation.torn()])
            chosen.append([*pending[:place], operation.torn(), *pending[place + 1 :]])
    seen = set()
    for some in chosen:
        files = dict(durable)
        for operation in some:
            _apply(files, operation)
        key = tuple(sorted(files.items()))
        if key not in seen:
            seen.add(key)
            yield files


def _synced(operations: Sequence[Operation]) -> tuple[Files, list[Operation]]:
    """What is on the disk for certain, and what may be."""
    durable: Files = {}
    pending: list[Operation] = []
    for operation in operations:
        if operation.kind != "sync":
            pending.append(operation)
            continue
        # SQLite syncs the folder with a new journal, and after deleting one: names are durable then.
        journal = operation.name.endswith("-journal")
        certain = [
            one
            for one in pending
            if one.name == operation.name
            or (journal and one.kind in ("create", "delete"))
        ]
        pending = [one for one in pending if one not in certain]
        for one in certain:
            _apply(durable, one)
    return durable, pending


def _apply(files: Files, operation: Operation) -> None:
    name, content = operation.name, files.get(operation.name)
    if operation.kind == "create":
        files.setdefault(name, b"")
    elif operation.kind == "delete":
        files.pop(name, None)
    elif content is None:
        return  # its name was lost
    elif operation.kind == "truncate":
        files[name] = content[: operation.offset]
    else:
        content = content.ljust(operation.offset, b"\0")
        end = operation.offset + len(operation.data)
        files[name] = content[: operation.offset] + operation.data + content[end:]
