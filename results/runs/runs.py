"""Several runs in one table, if their numbers compare."""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import pandas as pd

from results.metrics import METRICS
from results.objectives import Directions
from results.pareto.pareto import pareto_front
from results.runs.comparability import incomparable
from results.runs.loading import EmptyRunError, load_run
from results.runs.remote import MARKS, is_url, matching_runs
from results.runs.run import Run

MEASURING = ("data", "training")
"""Settings on which an accuracy depends; what a latency depends on, each trial's ``device`` says."""


@dataclass(frozen=True)
class Runs:
    """Runs with their tables one below the other; the column ``run`` names the run."""

    runs: Mapping[str, Run]
    trials: pd.DataFrame
    epochs: pd.DataFrame
    retrained: pd.DataFrame

    @property
    def complete(self) -> pd.DataFrame:
        """The trials that were trained and measured to the end."""
        return self.trials[self.trials["status"] == "complete"]

    def front(self, objectives: Directions | None = None) -> pd.DataFrame:
        """The Pareto front of all complete trials together; ``objectives`` default to those of the first run.

        Raises ``ValueError`` for metrics that do not compare, ``mixed`` or not.
        """
        aims = objectives or next(iter(self.runs.values())).objectives
        if reason := incomparable(self.complete, aims):
            raise ValueError(reason)
        return pareto_front(self.complete, aims)


def load_runs(paths: str | Path | Iterable[str | Path], *, mixed: bool = False) -> Runs:
    """The runs in several folders or URLs, or in those that a pattern such as ``"runs/*"`` matches.

    Raises ``ValueError`` if there is none, as ``load_run`` for each, and if they differ in data, training or
    the device that measured latency, naming what differs and where; ``mixed`` puts them together all the
    same.
    """
    one = isinstance(paths, str | Path)
    found = _matches(paths) if isinstance(paths, str | Path) else list(paths)
    if not found:
        raise ValueError(
            f"{paths}: no run folder there" if one else "no runs are named"
        )
    runs = _loaded(found, skip_empty=one)
    if not runs:
        raise ValueError(f"{paths}: all runs there are empty")
    if not mixed and (differences := list(_differences(runs))):
        raise ValueError(
            f"these runs do not compare: {'; '.join(differences)} (load fewer, or all with mixed=True)"
        )
    return Runs(
        runs, *(_concatenated(runs, name) for name in ("trials", "epochs", "retrained"))
    )


def _matches(pattern: str | Path) -> list[str | Path]:
    if is_url(pattern):
        return [*matching_runs(str(pattern))]
    found = glob(str(pattern))  # noqa: PTH207 - Path.glob takes no absolute pattern
    return [
        *sorted(
            path
            for path in found
            if any((Path(path) / name).is_file() for name in MARKS)
        )
    ]


def _loaded(paths: list[str | Path], *, skip_empty: bool) -> dict[str, Run]:
    """The runs by name; of a pattern's, one that has just begun is left out with a warning."""
    runs = {}
    for name, path in zip(_names(paths), paths, strict=True):
        try:
            runs[name] = load_run(path)
        except EmptyRunError as error:
            if not skip_empty:
                raise
            warnings.warn(f"left out: {error}", stacklevel=3)
    return runs


def _names(paths: list[str | Path]) -> list[str]:
    """The folders' names; where two are the same, the whole paths."""
    names = [str(path).rstrip("/").rpartition("/")[2] for path in paths]
    # two runs/a and runs2/a would be one name
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name} is named twice")
    return names


def _differences(runs: Mapping[str, Run]) -> Iterable[str]:
    """What differs between two runs, in words: ``data.name is digits in a, cifar10 in b``."""
    known: dict[str, tuple[str, Any]] = {}
    for name, run in runs.items():
        for key, value in _conditions(run).items():
            # the first run that has a setting speaks for it, be it not the first of all
            first, expected = known.setdefault(key, (name, value))
            if value != expected:
                yield f"{key} is {expected} in {first}, {value} in {name}"


def _conditions(run: Run) -> dict[str, Any]:
    """Settings by dotted name, and the device. One that only one of two runs has is new, and not compared."""
    flat: dict[str, Any] = {}
    for section in MEASURING:
        values = run.config.get(section)
        for key, value in (
            values if isinstance(values, Mapping) else {"name": values}
        ).items():
            flat[f"{section}.{key}"] = value
    for signature in dict.fromkeys(metric.signature for metric in METRICS.values()):
        if signature in run.trials and len(
            devices := sorted(run.trials[signature].dropna().unique())
        ):
            flat[signature] = " and ".join(map(str, devices))
    return flat


def _concatenated(runs: Mapping[str, Run], name: str) -> pd.DataFrame:
    tables = [getattr(run, name).assign(run=label) for label, run in runs.items()]
    columns = list(dict.fromkeys(column for table in tables for column in table))
    rows = pd.concat(tables, ignore_index=True)
    front = ["run", *(column for column in columns if column != "run")]
    in_order = rows.reindex(columns=front)
    together: pd.DataFrame = in_order.astype({"run": "string"})
    together.attrs["units"] = {
        key: unit for table in tables for key, unit in table.attrs["units"].items()
    }
    return together
