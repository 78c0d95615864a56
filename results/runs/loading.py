"""From a run folder, here or elsewhere, to a ``Run``."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from results.log.event_log import last_event
from results.log.events import Event
from results.log.reading import DamagedLogError
from results.log.salvage import surviving_events
from results.nearby import nearest_file
from results.runs.environment import environment
from results.runs.remote import is_url, local_copy
from results.runs.run import Run
from results.runs.snapshot import Stamp, read_snapshot
from results.runs.tables import Tables, fold_events


class EmptyRunError(ValueError):
    """A run folder whose search has logged nothing yet."""


FRONTS = Path(__file__).parents[1] / "fronts"
_EMPTY = "{}: the run is empty, its events.db holds no event yet"


def load_run(path: str | Path) -> Run:
    """The run in the folder ``path``, or at a URL that fsspec knows (such as ``s3://…``), as far as it went.

    A folder may hold the tables alone, as published ones do (``load_front``). Of a damaged log, what can be
    read is loaded; ``damage`` and a ``UserWarning`` name what is lost. Raises ``ValueError`` naming the folder
    or file that is missing, empty or damaged beyond reading.
    """
    if not is_url(path):
        return _load(Path(path))
    with local_copy(str(path)) as folder:
        run = _load(folder)
    # what was fetched is gone by now; a URL of a local folder names the folder itself
    return run if folder.exists() else replace(run, path=Path(path), url=str(path))


def load_front(name: str) -> Run:
    """A real search that is published with the package, by its folder in ``results/fronts``: tables and settings.

    Raises ``ValueError`` that names those there are.
    """
    names = sorted(path.parent.name for path in FRONTS.glob("*/trials.parquet"))
    if name not in names:
        raise ValueError(
            f"no published front is called {name!r}; there are {', '.join(names) or 'none yet'}"
        )
    return _load(FRONTS / name)


def _load(path: Path) -> Run:
    if not path.is_dir():
        raise ValueError(f"{path}: no such run folder{nearest_file(path)}")
    log = path / "events.db"
    if not log.is_file():
        return _published(path)
    if not log.stat().st_size:  # created, and not yet written to
        raise EmptyRunError(_EMPTY.format(path))
    with suppress(DamagedLogError):
        # The snapshot saves a replay, as long as no event came after it.
        stamp = last_event(log)
        if stamp and (snapshot := read_snapshot(path, stamp)):
            return _run(path, *snapshot, stamp)
    return _replayed(path, log)


def _replayed(path: Path, log: Path) -> Run:
    """From the events themselves, as many as can be read."""
    events, damage = surviving_events(log)
    if not events:
        raise EmptyRunError(_EMPTY.format(path))
    if damage:
        warnings.warn(f"{log}: {damage}", stacklevel=4)
    facts = _facts(events)
    try:
        tables = fold_events(events, metrics=facts["objectives"])
    except ValueError as error:
        raise ValueError(f"{log}: {error}") from error
    # tables of a damaged log are not all of it, and must never be taken for it
    stamp = None if damage else (events[-1].id, events[-1].time)
    return _run(path, tables, facts, stamp, damage)


def _published(path: Path) -> Run:
    """A run of which only the tables were passed on; they are not lost with a missing log."""
    found = read_snapshot(path, None)
    if found is None:
        raise ValueError(
            f"{path}: not a run folder, it holds no events.db and no tables of this version"
        )
    return _run(path, *found, None)


def _run(
    path: Path,
    tables: Tables,
    facts: dict[str, Any],
    stamp: Stamp | None,
    damage: str | None = None,
) -> Run:
    return Run(
        path=path,
        trials=tables.trials,
        epochs=tables.epochs,
        retrained=tables.retrained,
        config=_read_config(path / "config.yaml", default=facts["config"]),
        objectives=facts["objectives"],
        ended=facts["ended"],
        seconds=facts["seconds"],
        damage=damage,
        environment=environment(path),
        stamp=stamp,
        facts=facts,
    )


def _facts(events: Sequence[Event]) -> dict[str, Any]:
    """What a log says of the run as a whole."""
    start = _last(events, "search_started") or {}
    return {
        "objectives": dict(start.get("objectives") or {}),
        "config": start.get("config") or {},
        "ended": _reason(events),
        # pauses between drivers do not count
        "seconds": seconds_worked(events),
    }


def _last(events: Sequence[Event], kind: str) -> dict[str, Any] | None:
    return next((event.data for event in reversed(events) if event.kind == kind), None)


def _reason(events: Sequence[Event]) -> str | None:
    """Why the search ended; None if it was started again since."""
    marks = [
        event for event in events if event.kind in ("search_started", "search_finished")
    ]
    if not marks or marks[-1].kind == "search_started":
        return None
    return str(marks[-1].data.get("reason") or "finished")


def seconds_worked(events: Sequence[Event]) -> float:
    return sum(
        after.time - before.time
        for before, after in pairwise(events)
        # what lies before a start is a pause; a retraining comes after the search
        if after.kind not in ("search_started", "retrained")
    )


def _read_config(path: Path, default: dict[str, object]) -> dict[str, Any]:
    if not path.exists():
        return default
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(
            f"{path}: cannot be read as YAML ({' '.join(str(error).split())})"
        ) from error
    if not isinstance(config, dict):
        raise ValueError(
            f"{path}: a mapping of settings is needed, not {type(config).__name__}"
        )
    return config
