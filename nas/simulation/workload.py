"""What simulated trials turn out to be worth: recorded curves, and who hands them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from results import Run
from results.columns import Array
from results.metrics import MetricValues


class Trajectory(NamedTuple):
    """One trial as it would run to its end."""

    costs: Mapping[str, float]
    """Metrics known before the first epoch."""
    accuracy: Sequence[float]
    """After each epoch."""
    seconds: float
    """Of one epoch."""


class Workload(Protocol):
    """Tells what training ``arch`` for ``epochs`` epochs would give."""

    epochs: int

    def trajectory(self, arch: Any) -> Trajectory:
        """Of what the proposer handed out: an architecture, or the number of a row."""


class Proposes(Protocol):
    """What the simulator needs of a proposer; ``nas.samplers.proposer.Proposer`` is one."""

    def ask(self) -> Any | None:
        """The next proposal (``trial``, ``arch``, ``duplicate_of``), None if there is no other."""

    def tell(self, trial: int, status: str, metrics: MetricValues) -> None: ...


class RowProposal(NamedTuple):
    """A proposal that stands for row ``arch`` of a workload."""

    trial: int
    arch: int
    duplicate_of: int | None = None


class RandomRows:
    """Hands out the rows 0 to ``count`` - 1 in random order, each once; without ``count`` 0, 1, 2, … for ever."""

    def __init__(self, count: int | None = None, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._rows = None if count is None else rng.permutation(count).tolist()
        self._asked = 0

    def ask(self) -> RowProposal | None:
        if self._rows is not None and self._asked == len(self._rows):
            return None
        row = self._asked if self._rows is None else self._rows[self._asked]
        self._asked += 1
        return RowProposal(self._asked - 1, row)

    def tell(self, trial: int, status: str, metrics: MetricValues) -> None:
        """Nothing: a random order learns nothing."""


def trained(
    run: Run, metrics: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series[float]]:
    """Complete trials that have all ``metrics`` and epochs: rows, accuracy by epoch, median seconds of an epoch.

    Raises:
        ValueError: for a metric that no complete trial has.
    """
    complete = run.complete.set_index("trial")
    for name in metrics:
        if name not in complete or complete[name].isna().all():
            raise ValueError(
                f"{run.path}: no complete trial has {name}, so there is nothing to simulate from"
            )
    measured = complete.dropna(subset=list(metrics))
    # (trials, epochs)
    by_epoch = run.epochs.pivot_table("accuracy", index="trial", columns="epoch")
    curves = by_epoch.sort_index(axis=1)
    # an epoch that is missing, of a log cut off or mended, leaves its trial out
    curves = curves[curves.index.isin(measured.index)].dropna()
    pace = run.epochs.groupby("trial")["seconds"].median()[curves.index]
    return measured.loc[curves.index], curves, pace


def _check_numbers(columns: Mapping[str, Array]) -> None:
    for name, column in columns.items():
        if not np.isfinite(column).all():
            raise ValueError(
                f"{name}: a number is missing or infinite; drop such trials first"
            )


class Recorded:
    """Trials that were trained to the end, one row each.

    ``costs``: one row per trial, the metrics known before training. ``accuracy``: (trials, epochs).
    ``seconds``: of an epoch, per trial.

    Raises:
        ValueError: if there is no trial, shapes differ, or a number is missing.
    """

    def __init__(self, costs: pd.DataFrame, accuracy: Any, seconds: Any) -> None:
        curves = np.asarray(accuracy, dtype=float)
        each = np.asarray(seconds, dtype=float)
        pace = np.broadcast_to(each, (len(costs),))
        if curves.ndim != 2 or len(curves) != len(costs) or not curves.size:
            raise ValueError(
                f"curves of shape {curves.shape} do not fit {len(costs)} trials: (trials, epochs) is needed"
            )
        table = costs.astype("float64")
        numbers = {str(name): table[name].to_numpy() for name in table}
        _check_numbers(numbers | {"accuracy": curves, "seconds": pace})
        if not (pace > 0).all():
            raise ValueError(
                f"seconds of an epoch must be positive, got {pace.min():g}"
            )
        self.epochs = curves.shape[1]
        self._costs = table.to_dict("records")
        self._accuracy = curves.tolist()
        self._seconds = pace.tolist()

    def __len__(self) -> int:
        return len(self._costs)

    @classmethod
    def of_run(cls, run: Run, metrics: Sequence[str]) -> Recorded:
        """The complete trials of a run that have every one of ``metrics`` and all their epochs."""
        known, curves, pace = trained(run, metrics)
        if curves.empty:
            raise ValueError(
                f"{run.path}: no trial has all its epochs, so there is nothing to simulate from"
            )
        return cls(
            known[[name for name in metrics if name != "accuracy"]], curves, pace
        )

    def trajectory(self, arch: Any) -> Trajectory:
        return Trajectory(self._costs[arch], self._accuracy[arch], self._seconds[arch])
