"""What earlier searches teach a new one.

A surrogate of its own is fitted to every earlier run. What it foresees of a network is one more input of the new
search's surrogate, with a slope: few observations settle whether it tells much, nothing or the contrary.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from nas.problem import Problem
from nas.samplers.base import Outcome
from nas.samplers.surrogate import Candidate, Observation, Surrogate
from results import load_run
from results.columns import Array
from search_spaces.joint import arch_from_dict

MOST_TRIALS = 300
"""The latest trials of an earlier run that are learned from: a fit grows with their cube."""


class EarlierRun:
    """The surrogate of a run in folder ``path`` of the same space, whatever its data, fidelity or device were.

    Raises:
        ValueError: if that is no run, has no trial in the space, or measured nothing that the search does.
    """

    def __init__(self, path: str | Path, problem: Problem) -> None:
        observations = _observations(path, problem)
        self._posterior = Surrogate(problem).posterior(observations)
        if not any(marginal.process for marginal in self._posterior.marginals.values()):
            metrics = ", ".join(self._posterior.marginals) or "a metric to be guessed"
            raise ValueError(f"{path} has too few trials that measured {metrics}")
        self._foreseen: dict[str, MutableMapping[Candidate, float]] = defaultdict(
            WeakKeyDictionary
        )

    def foreseen(self, metric: str, networks: Sequence[Candidate]) -> Array:
        """By standard deviations above the run's mean, once warped: (networks,); 0 where it tells nothing."""
        marginal = self._posterior.marginals[metric]
        if marginal.process is None:
            return np.zeros(len(networks))
        # most candidates come again and again
        known = self._foreseen[metric]
        new = [network for network in networks if network not in known]
        if new:
            rows = self._posterior.encoder.last(new)
            mean, _ = marginal.process.predict(rows)
            # without the mean: another data set has another level, the order may be the same
            known.update(zip(new, mean - marginal.process.mean, strict=True))
        return np.array([known[network] for network in networks])


def _observations(path: str | Path, problem: Problem) -> list[Observation]:
    trials = load_run(path).trials
    trained = trials["status"].isin(["complete", "stopped"])
    ended = trials[trained].tail(MOST_TRIALS)
    archs = [arch_from_dict(json.loads(arch)) for arch in ended["arch"]]
    rows = [row for _, row in ended.iterrows()]
    found = [
        Observation.of(Candidate(arch, problem), _outcome(row))
        for arch, row in zip(archs, rows, strict=True)
        if isinstance(arch, problem.space.arch_type)
    ]
    if not found:
        space = problem.space.arch_type.space
        raise ValueError(f"{path} has no finished trial in the space {space}")
    return found


def _outcome(row: pd.Series[Any]) -> Outcome:
    numbers = {
        str(name): float(value)
        for name, value in row.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    epoch = numbers.get("epochs", 1.0)
    return Outcome(str(row["status"]), numbers | {"epoch": epoch})


def earlier_runs(folders: Sequence[str], problem: Problem) -> list[EarlierRun]:
    """The runs in ``folders``; ``ValueError`` for what is no list of runs of the problem's space."""
    if isinstance(folders, str):
        raise ValueError(f"learn_from must be a list of run folders, got {folders!r}")
    try:
        return [EarlierRun(folder, problem) for folder in folders]
    except ValueError as error:
        raise ValueError(f"learn_from: {error}") from error
