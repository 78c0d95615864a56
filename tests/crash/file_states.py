"""What a program asks of a folder, recorded, and the states that a power loss could leave of it.

Renames, deletions, new names and syncs are recorded as Python makes them; what was written to a file is seen
when the next of them comes. Names that no sync of their folder made durable may be there or not, in their
order; content that no sync of its file made durable may be there, be missing, be cut off or be zeros.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

Tree = dict[str, bytes | None]
"""Content by path below the folder; None for a folder."""
LOSSES: tuple[Callable[[bytes], bytes], ...] = (
    lambda content: content,
    lambda content: b"",
    lambda content: content[: len(content) // 2],
    lambda content: bytes(len(content)),
)


SYNCED_BY_SQLITE = ("events.db", "events.db.mended")
"""Python does not see these syncs; ``recording_vfs`` does."""


@dataclass
class Recorder:
    """The folder ``root`` as it is on the disk, and what may be lost of it."""

    root: Path
    states: list[tuple[Tree, int]] = field(default_factory=list)
    acknowledged: int = 0
    _durable: dict[str, int | None] = field(default_factory=dict)
    _changes: list[tuple[str, str | None, int | None]] = field(default_factory=list)
    _known: dict[str, int | None] = field(default_factory=dict)
    _synced: dict[int, bytes] = field(default_factory=dict)
    _now: dict[int, bytes] = field(default_factory=dict)

    def acknowledge(self) -> None:
        """From here on, what was done so far may not be lost."""
        self.look()
        self.acknowledged += 1
        self._keep_states()

    def look(self) -> None:
        """Take note of new names, and of what was written."""
        found = dict(self._walk())
        for name in sorted(found.keys() | self._known.keys()):
            if found.get(name, 0) != self._known.get(name, 0):
                self._changes.append((name, None, found.get(name, 0)))
        self._known = found

    def before(self) -> None:
        self.look()
        self._keep_states()

    def sync(self, path: Path) -> None:
        """The content of a file, or the names in a folder, are on the disk."""
        number = path.stat().st_ino
        if path.is_file():
            self._synced[number] = self._now[number] = path.read_bytes()
            return
        inside = "" if path == self.root else f"{path.relative_to(self.root)}"
        kept = []
        for change in self._changes:
            if os.path.dirname(change[0]) == inside:  # noqa: PTH120 - a name, no path
                _apply(self._durable, change)
            else:
                kept.append(change)
        self._changes = kept

    def renamed(self, source: str, target: str) -> None:
        """One change, not a deletion and a new name."""
        moved = {
            name: number
            for name, number in self._known.items()
            if name == source or name.startswith(f"{source}/")
        }
        for name in moved:
            del self._known[name]
        for name, number in moved.items():
            self._known[target + name.removeprefix(source)] = number
        self._changes.append((target, source, moved.get(source, 0)))

    def _walk(self) -> Iterator[tuple[str, int | None]]:
        for path in sorted(self.root.rglob("*")):
            name, number = str(path.relative_to(self.root)), path.stat().st_ino
            if path.is_dir():
                yield name, None
            else:
                self._now[number] = path.read_bytes()
                if path.name in SYNCED_BY_SQLITE:
                    self._synced[number] = self._now[number]
                yield name, number

    def _keep_states(self) -> None:
        for count in range(len(self._changes) + 1):
            names = dict(self._durable)
            for change in self._changes[:count]:
                _apply(names, change)
            for loss in LOSSES:
                tree = {name: self._content(n, loss) for name, n in names.items()}
                if (tree, self.acknowledged) not in self.states:
                    self.states.append((tree, self.acknowledged))

    def _content(
        self, number: int | None, loss: Callable[[bytes], bytes]
    ) -> bytes | None:
        if number is None:
            return None
        now = self._now[number]
        return now if self._synced.get(number) == now else loss(now)


def _apply(
    names: dict[str, int | None], change: tuple[str, str | None, int | None]
) -> None:
    name, source, number = change
    if source is not None:
        for old in [n for n in names if n == source or n.startswith(f"{source}/")]:
            names[name + old.removeprefix(source)] = names.pop(old)
        names.setdefault(name, number)
    elif number == 0:  # gone, with all that is below
        for old in [n for n in names if n == name or n.startswith(f"{name}/")]:
            del names[old]
    else:
        names[name] = number


@contextmanager
def recording(root: Path, patch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """Record what happens to ``root`` and below."""
    told = Recorder(root)
    replace, rename, unlink, fsync = os.replace, os.rename, os.unlink, os.fsync

    def inside(path: Any) -> bool:
        return Path(path).is_relative_to(root)

    def moving(move: Any) -> Any:
        def moved(source: Any, target: Any, **where: Any) -> None:
            if inside(target):
                told.before()
            move(source, target, **where)
            if inside(target):
                names = (str(Path(path).relative_to(root)) for path in (source, target))
                told.renamed(*names)
                told.before()

        return moved

    def unlinking(path: Any, **where: Any) -> None:
        told.before()
        unlink(path, **where)
        told.before()

    def syncing(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if inside(path):
            told.before()
            told.sync(path)
            told.before()

    with patch.context() as patched:
        patched.setattr(os, "replace", moving(replace))
        patched.setattr(os, "rename", moving(rename))
        patched.setattr(os, "unlink", unlinking)
        patched.setattr(os, "fsync", syncing)
        yield told
        told.before()


def lay_out(tree: Tree, folder: Path) -> None:
    """Make ``folder`` hold a state; what lost the folder that it was in is lost too."""
    folder.mkdir(parents=True)
    for name, content in sorted(tree.items()):
        path = folder / name
        if not path.parent.is_dir():
            continue
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
