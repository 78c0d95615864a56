"""What a network that has not been measured may be worth: guesses from its knobs and exact costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nas.problem import Outcome, Problem
from nas.samplers.gaussian_process import Array, GaussianProcess
from search_spaces import Arch
from search_spaces.sampling.limits import LIMITED

SPREAD = 3.0
"""A positive metric whose values span more than this factor is guessed by its logarithm."""
AT_LEAST = 4
"""Measurements of a metric before it is guessed at all."""


@dataclass(frozen=True)
class Network:
    """An architecture of a problem, with what is known of it before it is measured."""

    arch: Arch
    problem: Problem

    @cached_property
    def knobs(self) -> dict[str, Any]:
        return self.problem.space.params(self.arch)

    @cached_property
    def costs(self) -> dict[str, float]:
        return self.problem.costs(self.arch)


@dataclass(frozen=True)
class Lesson:
    """What came of a network.

    ``losses`` are there if it was measured inside all limits, be it to the end or until it was stopped, where they
    are bounds: with more epochs it would have been better. ``excess`` sums up the limits broken.
    """

    network: Network
    metrics: Mapping[str, Any]
    losses: Array | None
    excess: float

    @classmethod
    def of(cls, network: Network, outcome: Outcome) -> Lesson:
        problem, metrics = network.problem, outcome.metrics
        excess = problem.beyond(metrics)
        measured = all(math.isfinite(metrics.get(name, math.nan)) for name in problem.objectives)
        inside = measured and outcome.status in ("complete", "stopped") and excess == 0
        return cls(network, metrics, problem.losses(metrics) if inside else None, excess)


def guess(
    problem: Problem, lessons: Sequence[Lesson], networks: Sequence[Network], rng: np.random.Generator
) -> list[dict[str, float]]:
    """Objectives and limited metrics of each network: one draw of what the lessons leave possible."""
    guessed = {
        name: [network.costs[name] for network in networks]
        if name in LIMITED
        else _guess(name, lessons, networks, rng)
        for name in {**problem.objectives, **problem.limits}
    }
    return [dict(zip(guessed, row, strict=True)) for row in zip(*guessed.values(), strict=True)]


def _guess(
    name: str, lessons: Sequence[Lesson], networks: Sequence[Network], rng: np.random.Generator
) -> list[float]:
    known = [lesson for lesson in lessons if math.isfinite(lesson.metrics.get(name, math.nan))]
    y = np.array([lesson.metrics[name] for lesson in known], dtype=float)
    if len(known) < AT_LEAST:
        return [float(y.mean()) if len(y) else 1.0] * len(networks)
    logarithmic = y.min() > 0 and y.max() > SPREAD * y.min()
    epochs = [float(lesson.metrics.get("epoch", 1)) for lesson in known]
    rows = _rows(
        [lesson.network for lesson in known] + list(networks), epochs + [max(epochs)] * len(networks)
    )
    process = GaussianProcess.fit(rows[: len(known)], np.log(y) if logarithmic else y, trend=TRENDS)
    drawn = process.sample(rows[len(known) :], rng)
    values: list[float] = (np.exp(drawn) if logarithmic else drawn).tolist()
    return values


TRENDS = len(LIMITED) + 1


def _rows(networks: Sequence[Network], epochs: Sequence[float]) -> Array:
    """One row each: log costs and log epochs over their range from -1 to 1, then the knobs."""
    costs = [[*network.costs.values(), epoch] for network, epoch in zip(networks, epochs, strict=True)]
    logs = np.log(np.array(costs) + 1)
    low, high = logs.min(axis=0), logs.max(axis=0)
    logs = 2 * (logs - low) / np.where(high > low, high - low, 1.0) - 1
    return np.hstack([logs, encode([network.knobs for network in networks])])


def encode(knobs: Sequence[Mapping[str, Any]]) -> Array:
    """One row each: a column from 0 to 1 for a knob of numbers, one a category for any other.

    A number that does not apply is in the middle; two categories are as far apart as the ends of a scale.
    """
    seen: dict[str, set[Any]] = {}
    for values in knobs:
        for name, value in values.items():
            seen.setdefault(name, set()).add(value)
    columns = [_column(name, values, knobs) for name, values in sorted(seen.items())]
    return np.hstack(columns) if columns else np.zeros((len(knobs), 0))


def _column(name: str, values: Iterable[Any], knobs: Sequence[Mapping[str, Any]]) -> Array:
    values = sorted(values, key=repr)
    if all(type(value) in (int, float) for value in values):
        low, high = min(values), max(values)
        middle = (low + high) / 2
        column = np.array([[row.get(name, middle)] for row in knobs], dtype=float)
        return np.asarray((column - low) / ((high - low) or 1.0))
    return np.array([[name in row and row[name] == value for value in values] for row in knobs]) * math.sqrt(
        0.5
    )
