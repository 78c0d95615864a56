"""Learning curves made up by a formula that is declared here, on the true cost of real architectures.

A surrogate: good for comparing schedules, not for saying what any network would reach.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.random import Generator

from nas.simulation.workload import Trajectory
from results.columns import Array
from search_spaces import IMAGENET, Arch, SearchSpace, Task, complexity

COSTS = ("macs", "flops", "params", "activations")
BLOCK = 1024
"""Curves made at a time: one at a time costs ten times as much."""
BLOCKS_KEPT = 4
"""Blocks kept: rows are asked for in their order, and by few who are late."""


@dataclass(frozen=True)
class Curves:
    """The formula, with m = MACs / 10**9 and t = epochs done.

    limit(m, q) = 1 - floor - scale * m**-power * exp(spread * q), never below chance
    accuracy(t) = limit - (limit - chance) / (1 + t / tau)**2 + noise * (1 + 2 / t) * normal
    tau         = patience * m**slower * exp(jitter * normal), in epochs

    The quality q is standard normal: half of its variance is a sum of effects of single knobs, so that a
    sampler has something to learn, half is the network's own. Larger networks end higher but learn later, and
    tau varies by itself: curves cross. An epoch takes ``seconds * (0.2 + 0.8 * m / median m)``.
    """

    floor: float = 0.18
    scale: float = 0.10
    power: float = 0.35
    spread: float = 0.35
    chance: float = 0.01
    patience: float = 1.2
    slower: float = 0.15
    jitter: float = 0.4
    noise: float = 0.003

    def accuracy(
        self, macs: Array, quality: Array, epochs: int, rng: Generator
    ) -> Array:
        """Shape (networks, epochs)."""
        m = macs[:, None] / 1e9
        q = quality[:, None]
        # a power law in the cost, spread log-normally by the quality
        error = self.scale * m**-self.power * np.exp(self.spread * q)
        limit = np.maximum(1 - self.floor - error, self.chance)
        jitter = np.exp(self.jitter * rng.standard_normal(m.shape))
        # larger networks learn later
        tau = self.patience * m**self.slower * jitter
        t = np.arange(1, epochs + 1)
        missing = (limit - self.chance) / (1 + t / tau) ** 2
        # early epochs are noisier
        deviation = self.noise * (1 + 2 / t)
        noise = deviation * rng.standard_normal((len(m), epochs))
        curves: Array = limit - missing + noise
        return curves.clip(0, 1)


class SyntheticWorkload:
    """``Curves`` for the architectures of ``space``: for given ones, or endless rows of random ones.

    Rows draw from a pool of ``pool`` real architectures; each row has its own share of the quality and its own
    noise, so that rows do not repeat. ``seconds``: of an epoch of the pool's median network.
    """

    def __init__(
        self,
        space: SearchSpace,
        epochs: int = 9,
        *,
        seconds: float = 60.0,
        task: Task = IMAGENET,
        curves: Curves | None = None,
        seed: int = 0,
        pool: int = 400,
    ) -> None:
        if epochs < 1:
            raise ValueError(f"epochs must be at least 1, got {epochs}")
        if not 0 < seconds < np.inf:
            raise ValueError(f"seconds must be positive, got {seconds:g}")
        self.space = space
        self.epochs = epochs
        self.seed = seed
        self.task = task
        self._curves = curves or Curves()
        rng = np.random.default_rng(seed)
        archs = [space.sample(rng) for _ in range(pool)]
        self._pool = [self._costs(arch) for arch in archs]
        self._macs = np.array([costs["macs"] for costs in self._pool])
        self._knobs = np.array([self._of_knobs(arch) for arch in archs])
        self._median = float(np.median(self._macs))
        self._seconds = seconds
        self._blocks: OrderedDict[int, list[Trajectory]] = OrderedDict()

    def trajectory(self, arch: Arch | int) -> Trajectory:
        """Of an architecture of the space, or of row number ``arch``."""
        if isinstance(arch, Arch):
            costs = self._costs(arch)
            # of the id: whoever asks for a network, in any order, gets the same curve
            rng = np.random.default_rng([self.seed, int(arch.id, 16)])
            knobs = np.array([self._of_knobs(arch)])
            return self._trajectories([costs], knobs, rng)[0]
        block, place = divmod(arch, BLOCK)
        if block not in self._blocks:
            rng = np.random.default_rng([self.seed, block])
            rows = rng.integers(len(self._pool), size=BLOCK)
            self._blocks[block] = self._trajectories(
                [self._pool[row] for row in rows], self._knobs[rows], rng
            )
            if len(self._blocks) > BLOCKS_KEPT:
                self._blocks.popitem(last=False)
        return self._blocks[block][place]

    def _trajectories(
        self, costs: list[dict[str, float]], knobs: Array, rng: Generator
    ) -> list[Trajectory]:
        macs = np.array([cost["macs"] for cost in costs])
        # two standard normal parts of equal weight: standard normal again
        own = rng.standard_normal(len(knobs))
        quality = (knobs + own) / np.sqrt(2)
        accuracy = self._curves.accuracy(macs, quality, self.epochs, rng)
        seconds = self._seconds * (0.2 + 0.8 * macs / self._median)
        rows = zip(costs, accuracy.tolist(), seconds.tolist(), strict=True)
        return [Trajectory(*row) for row in rows]

    def _costs(self, arch: Arch) -> dict[str, float]:
        cost = complexity(arch, self.task)
        return {name: getattr(cost, name) for name in COSTS}

    def _of_knobs(self, arch: Arch) -> float:
        """About standard normal: one effect per knob and value, drawn from their names."""
        knobs = self.space.params(arch).items()
        effects = [_effect(self.seed, knob, value) for knob, value in knobs]
        return float(sum(effects) / len(effects) ** 0.5)


def _effect(seed: int, knob: str, value: object) -> float:
    # a hash, not Python's own, which differs from process to process
    digest = sha256(f"{seed} {knob} {value}".encode()).digest()
    rng = np.random.default_rng(list(digest[:8]))
    return float(rng.standard_normal())
