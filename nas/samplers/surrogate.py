"""What a network that has not been measured may be worth, from its knobs and exact costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import scipy
from numpy.random import Generator

from nas.problem import Problem
from nas.samplers.base import Outcome
from nas.samplers.encoding import Encoder
from nas.samplers.gaussian_process import GaussianProcess
from nas.samplers.warp import Warp
from results.columns import Array
from results.metrics import MetricValues, error_column
from search_spaces import Arch
from search_spaces.sampling.limits import LIMITED

AT_LEAST = 4
"""Measurements of a metric before a process is fitted to them."""
GROWTH = 1.1
"""Hyperparameters are fitted again when there are so many times as many observations."""
LEAST_NOISE = 0.1
"""Of an observation, as a share of the median one's; its inverse is the most."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """An architecture of a problem, with what is known of it before it is measured."""

    arch: Arch
    problem: Problem

    @cached_property
    def knobs(self) -> dict[str, Any]:
        return self.problem.space.params(self.arch)

    @cached_property
    def costs(self) -> dict[str, float]:
        return self.problem.costs(self.arch)

    @property
    def fits(self) -> bool:
        """Whether the limits hold that are known before it is measured."""
        return self.problem.beyond(self.costs) == 0


@dataclass(frozen=True)
class Observation:
    """What came of a network.

    ``losses`` are there if it was measured inside all limits, be it to the end or until it was stopped, where they
    are bounds: with more epochs it would have been better. ``excess`` sums up the limits broken.
    """

    network: Candidate
    metrics: MetricValues
    losses: Array | None
    excess: float
    complete: bool

    @classmethod
    def of(cls, network: Candidate, outcome: Outcome) -> Observation:
        problem = network.problem
        metrics = outcome.metrics
        excess = problem.beyond(metrics)
        measured = all(
            math.isfinite(metrics.get(name, math.nan)) for name in problem.objectives
        )
        inside = measured and outcome.status in ("complete", "stopped") and excess == 0
        losses = problem.losses(metrics) if inside else None
        return cls(network, metrics, losses, excess, outcome.status == "complete")

    @property
    def epoch(self) -> float:
        return float(self.metrics.get("epoch", 1))

    def has(self, metric: str) -> bool:
        return math.isfinite(self.metrics.get(metric, math.nan))


class Foresees(Protocol):
    """What is known from elsewhere of a metric."""

    def foreseen(self, metric: str, networks: Sequence[Candidate]) -> Array:
        """(networks,), whatever the unit."""


class Surrogate:
    """One Gaussian process per metric that has to be measured, over log costs, the epoch and the knobs.

    What each of ``earlier`` foresees is an input too.
    """

    def __init__(self, problem: Problem, earlier: Sequence[Foresees] = ()) -> None:
        self._problem = problem
        self._earlier = earlier
        self._fitted: dict[str, _Fitted] = {}
        self._encoder: Encoder | None = None

    def posterior(self, observations: Sequence[Observation]) -> Posterior:
        """What ``observations``, at least one, leave possible."""
        networks = [other.network for other in observations]
        epochs = [other.epoch for other in observations]
        self._encoder = encoder = Encoder.of(networks, epochs, self._encoder)
        metrics = dict.fromkeys([*self._problem.objectives, *self._problem.limits])
        # costs are exact: there is nothing to predict
        unsure = [name for name in metrics if name not in LIMITED]
        marginals = {
            name: self._marginal(name, observations, encoder) for name in unsure
        }
        return Posterior(self._problem, encoder, marginals, self._earlier)

    def _marginal(
        self, name: str, observations: Sequence[Observation], encoder: Encoder
    ) -> Marginal:
        known = [other for other in observations if other.has(name)]
        values = np.array([other.metrics[name] for other in known], dtype=float)
        # too few to tell networks apart: the same for all
        if len(known) < AT_LEAST:
            return Marginal(float(values.mean()) if len(values) else 1.0)
        networks = [o.network for o in known]
        epochs = [o.epoch for o in known]
        foreseen = _foreseen(self._earlier, name, networks)
        warp = Warp.of(values)
        # (networks, inputs): costs, epoch, knobs, and what earlier runs foresee
        rows = np.hstack([encoder.rows(networks, epochs), foreseen])
        data = rows, warp(values), _relative_noise(name, known)
        process = self._process(name, encoder, *data)
        return Marginal(float(values.mean()), process, warp)

    def _process(
        self, name: str, encoder: Encoder, rows: Array, values: Array, noise: Array
    ) -> GaussianProcess:
        """Fitted anew once a tenth more is known or inputs are new; else by the last hyperparameters."""
        inputs = [*encoder.names, "noise"]
        last = self._fitted.get(name, _Fitted(0, {}))
        # by name: a knob that was constant so far has no input and no length scale
        prior = encoder.kernel.start()
        start = np.array(list(map(last.logs.get, inputs, prior)))
        few_new = len(values) < GROWTH * last.observations
        if few_new and last.logs.keys() == set(inputs):
            return GaussianProcess.at(encoder.kernel, rows, values, noise, start)
        process = GaussianProcess.fit(encoder.kernel, rows, values, noise, start)
        logs = dict(zip(inputs, process.theta.tolist(), strict=True))
        self._fitted[name] = _Fitted(len(values), logs)
        return process


def _foreseen(
    earlier: Sequence[Foresees], metric: str, networks: Sequence[Candidate]
) -> Array:
    """(networks, earlier)"""
    columns = np.zeros((len(networks), len(earlier)))
    for index, each in enumerate(earlier):
        columns[:, index] = each.foreseen(metric, networks)
    return columns


@dataclass(frozen=True)
class _Fitted:
    """The logs of the hyperparameters of so many observations."""

    observations: int
    logs: Mapping[str, float]


def _relative_noise(name: str, known: Sequence[Observation]) -> Array:
    """Variances of the observations relative to each other, by the standard error where there is one.

    Older runs know the interquartile range instead.
    """
    *stem, unit = name.split("_")
    columns = error_column(name), "_".join([*stem, "iqr", unit])
    spread = next((column for column in columns if _all_have(column, known)), None)
    if spread is None:
        return np.ones(len(known))
    # relative: 1 ms known to 5 % is as sure as 100 ms known to 5 %
    relative = np.array(
        [other.metrics[spread] / (abs(other.metrics[name]) or 1) for other in known]
    )
    variance = relative**2 / (float(np.median(relative)) ** 2 or 1.0)
    return np.asarray(np.clip(variance, LEAST_NOISE, 1 / LEAST_NOISE))


def _all_have(metric: str, known: Sequence[Observation]) -> bool:
    return all(each.has(metric) for each in known)


@dataclass(frozen=True)
class Marginal:
    """The posterior of one metric; without a process, its value is the same for all."""

    value: float
    process: GaussianProcess | None = None
    warp: Warp | None = None

    def quantiles(self, rows: Array, pending: Array, levels: Array) -> Array:
        """Values at ``rows`` at standard normal ``levels``: (levels, rows)."""
        if self.process is None or self.warp is None:
            shape = (len(levels), len(rows))
            return np.full(shape, self.value)
        process = self.process.believing(pending) if len(pending) else self.process
        mean, deviation = process.predict(rows)
        return self.warp.inverse(mean + levels[:, None] * deviation)


@dataclass(frozen=True)
class Posterior:
    """What observations leave possible."""

    problem: Problem
    encoder: Encoder
    marginals: Mapping[str, Marginal]
    earlier: Sequence[Foresees] = ()

    def believed(self, networks: Sequence[Candidate]) -> Array:
        """Losses at the middle of what is possible: (networks, objectives)."""
        middle = np.zeros((1, len(self.marginals)))
        values = self._values(networks, (), middle)
        return np.asarray(self._losses(values)[0])

    def sample(
        self,
        networks: Sequence[Candidate],
        pending: Sequence[Candidate],
        draws: int,
        rng: Generator,
    ) -> tuple[Array, Array]:
        """Losses, (draws, networks, objectives), and by how much limits are broken in all, (draws, networks).

        The draws of each network are evenly spread over what is possible, metric by metric. ``pending`` count as
        observed at what is believed of them.
        """
        # stratified: the middles of so many equal parts, which a few draws need
        levels = scipy.stats.norm.ppf((np.arange(draws) + 0.5) / draws)
        # each metric in an order of its own: metrics are predicted independently
        shuffled = [rng.permutation(levels) for _ in self.marginals]
        orders = np.array(shuffled)
        levels = orders.reshape(-1, draws).T
        values = self._values(networks, pending, levels)
        return self._losses(values), self._excess(values)

    def _values(
        self, networks: Sequence[Candidate], pending: Sequence[Candidate], levels: Array
    ) -> dict[str, Array]:
        """``levels``: (draws, marginals). Of every objective and limited metric: (draws, networks)."""
        rows = self.encoder.last(networks)
        flying = self.encoder.last(pending)
        values = {}
        for (name, marginal), column in zip(
            self.marginals.items(), levels.T, strict=True
        ):
            here = np.hstack([rows, _foreseen(self.earlier, name, networks)])
            there = np.hstack([flying, _foreseen(self.earlier, name, pending)])
            values[name] = marginal.quantiles(here, there, column)
        for name in LIMITED:
            costs = [network.costs[name] for network in networks]
            exact = np.array(costs, dtype=float)
            # the same in every draw: costs are exact
            values[name] = np.broadcast_to(exact, (len(levels), len(networks)))
        return values

    def _losses(self, values: Mapping[str, Array]) -> Array:
        signed = [
            values[name] if way == "min" else -values[name]
            for name, way in self.problem.objectives.items()
        ]
        return np.stack(signed, axis=-1)

    def _excess(self, values: Mapping[str, Array]) -> Array:
        total = np.zeros(values[next(iter(LIMITED))].shape)
        for name, limit in self.problem.limits.items():
            total += np.maximum(limit.excess(values[name]), 0)
        return total
