"""A simulated search: its space, sampler, stopper and limits, and what befalls it.

Sampler and stopper are real, but for one that repeats itself. What a stopper is told is kept, so that a replay
can be held to it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from nas.budget import Budget, Plateau
from nas.problem import Problem
from nas.samplers.base import Draw, Outcome, Sampler
from nas.samplers.registry import make_sampler
from nas.stopper.asha import Decision, Stopper, make_stopper
from nas.testing.invariants import ViolationError
from results.limits import Limit
from results.metrics import MetricValues
from search_spaces import Arch, SearchSpace, get_space

WORLD_OBJECTIVES = {"accuracy": "max", "flops": "min"}
PRODUCES = (("flops",), ("latency_ms",), ("accuracy",))
SAMPLER_WEIGHTS = {"repeating": 33, "random": 4, "nsga2": 2, "evolution": 1}
"""How often each is drawn; the last two take most of the time."""


class Told:
    """A stopper, and all that it was told and sent on: live and in a replay it must be the same."""

    def __init__(self, stopper: Stopper) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._stopper = stopper

    def report(self, trial: int, epoch: int, metrics: MetricValues) -> Decision:
        self.told.append((trial, epoch, dict(metrics)))
        return self._stopper.report(trial, epoch, metrics)

    def promote(self) -> int | None:
        trial = self._stopper.promote()
        if trial is not None:
            self.told.append((trial, "promote"))
        return trial

    def finish(self, trial: int) -> None:
        self.told.append((trial, "finish"))
        self._stopper.finish(trial)


class Repeating:
    """Draws at random with repetition, so that duplicates are frequent."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._rng = random.Random(len(problem.taken))  # noqa: S311 - no secret

    def draw(self) -> Draw:
        return Draw(self._rng.choice(_networks()))

    def adopt(self, arch: Arch) -> Draw:
        return Draw(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        """Nothing is learnt, but what a sampler may rely on is checked."""
        for name, value in outcome.metrics.items():
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                raise ViolationError(f"a sampler was told {name} = {value}")


@dataclass(frozen=True)
class World:
    """One search and what befalls it. ``kill``, ``lose``, ``fail``, ``diverge``, ``late``: chances per step.

    ``raises`` is how often its limits are raised when it is over, ``together`` how many steps at most its engine
    makes in one commit. ``sampler`` and ``stopper`` make new ones for every driver.
    """

    sampler: Callable[[], Sampler]
    stopper: Callable[[], Stopper]
    budget: Budget
    limits: dict[str, Limit] = field(default_factory=dict)
    epochs: int = 4
    workers: int = 1
    raises: int = 0
    together: int = 1
    kill: float = 0.0
    lose: float = 0.0
    fail: float = 0.0
    diverge: float = 0.0
    late: float = 0.0

    @classmethod
    def draw(cls, rng: random.Random) -> World:
        """Any world, with a search that ends soon."""
        names = list(SAMPLER_WEIGHTS)
        weights = list(SAMPLER_WEIGHTS.values())
        name = rng.choices(names, weights)[0]
        epochs = rng.randint(1, 5)
        seed = rng.randrange(100)
        stopper, mode = rng.choice(
            [("none", None), ("moasha", "stop"), ("moasha", "promote")]
        )
        stopping = {"mode": mode, "eta": rng.choice([2, 3])} if mode else {}
        return cls(
            sampler=lambda: _sampler(name, seed),
            stopper=lambda: make_stopper(stopper, WORLD_OBJECTIVES, epochs, stopping),
            budget=Budget(
                trials=rng.randint(1, 7),
                hours=rng.choice([None, None, rng.uniform(0.1, 2.0)]),
                epochs=rng.choice([None, None, rng.randint(3, 20)]),
                plateau=rng.choice([None, None, None, Plateau(rng.randint(2, 4))]),
            ),
            # on what is measured before training, and on what training tells
            limits=rng.choice(
                [{}, {"latency_ms": Limit(max=2.5)}, {"accuracy": Limit(min=0.2)}]
            ),
            epochs=epochs,
            workers=rng.randint(1, 8),
            raises=rng.randint(0, 2),
            together=rng.choice([1, 1, 4]),
            kill=rng.choice([0.0, 0.02, 0.1, 0.4]),
            lose=rng.choice([0.0, 0.02, 0.2]),
            fail=rng.choice([0.0, 0.05]),
            diverge=rng.choice([0.0, 0.1]),
            late=rng.choice([0.0, 0.1]),
        )


def _sampler(name: str, seed: int) -> Sampler:
    if name == "repeating":
        return Repeating
    # without its surrogate, which takes most of a search's time and is tested by itself
    quick = {"first": 2, "surrogate": False} if name == "evolution" else {}
    return make_sampler(name, seed, quick)


@cache
def small_space() -> SearchSpace:
    """24 networks, so that some are drawn again and the space runs out."""
    narrow: dict[str, Any] = dict.fromkeys(("depth1", "depth2", "depth3", "depth4"), 1)
    narrow |= {
        "width1": 8,
        "width2": 8,
        "width3": 16,
        "width4": 16,
        "bottleneck_width": 64,
    }
    narrow |= {"stem_width": 8, "deep_stem": True, "avg_down": True, "avd": False}
    return get_space(
        "resnest",
        **narrow | {"radix": [1, 2, 4], "cardinality": [1, 2], "stem_width": [8, 16]},
    )


@cache
def _networks() -> list[Arch]:
    found: dict[str, Arch] = {}
    rng = np.random.default_rng(0)
    for _ in range(100):
        arch = small_space().sample(rng)
        found[arch.id] = arch
    return [found[key] for key in sorted(found)]
