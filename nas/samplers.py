"""Ways to choose what to try next, behind one small interface, and by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState

from search_spaces import IMAGENET, Arch, SearchSpace, Task, complexity
from search_spaces.extension import import_named
from search_spaces.limits import LIMITED

from .limits import Limit

DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}


@dataclass(frozen=True)
class Problem:
    """What is searched: a space, for objectives (metric to ``"max"`` or ``"min"``), inside limits.

    ``taken`` has the ids of all architectures handed out so far and grows as the search goes on.
    """

    space: SearchSpace
    objectives: Mapping[str, str]
    limits: Mapping[str, Limit] = field(default_factory=dict)
    task: Task = IMAGENET
    taken: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def cheap(self) -> dict[str, Limit]:
        """The limits that are known to hold, or not, before anything is measured."""
        return {name: limit for name, limit in self.limits.items() if name in LIMITED}

    def costs(self, arch: Arch) -> dict[str, float]:
        cost = complexity(arch, self.task)
        return {name: getattr(cost, name) for name in LIMITED}

    def excess(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """By how much (``Limit.excess``) each limit on a metric that was measured is broken: 0 or less inside."""
        return {
            name: limit.excess(metrics[name])
            for name, limit in self.limits.items()
            if metrics.get(name) is not None
        }

    def losses(self, metrics: Mapping[str, Any]) -> NDArray[np.float64]:
        """The objectives, lower being better."""
        return np.array(
            [metrics[n] if way == "min" else -metrics[n] for n, way in self.objectives.items()], dtype=float
        )

    def fits(self, arch: Arch) -> bool:
        """Whether the cheap limits hold."""
        return not self.cheap or max(self.excess(self.costs(arch)).values()) <= 0

    def draws(self, rng: np.random.Generator) -> Iterator[Arch]:
        """Different random architectures inside the cheap limits that are not taken, evenly distributed.

        Ends when the space seems to hold no other.

        Raises:
            ValueError: if there are none at all inside the limits, with the nearest.
        """
        window = {name: (limit.min, limit.max) for name, limit in self.cheap.items()}
        drawn = self.space.samples(rng, window, self.task)
        yield from (first for first in [next(drawn)] if first.id not in self.taken)
        try:
            yield from (arch for arch in drawn if arch.id not in self.taken)
        except ValueError:  # all draws are repeats
            return


@dataclass(frozen=True)
class Draw:
    """An architecture that a strategy came up with, or took on; ``ticket`` is the strategy's own."""

    arch: Arch
    ticket: Any = None


@dataclass(frozen=True)
class Outcome:
    """What came of a draw: ``complete``, ``stopped``, ``infeasible`` or ``failed``, and what was measured."""

    status: str
    metrics: Mapping[str, Any] = field(default_factory=dict)


class Strategy(Protocol):
    """Proposes architectures and learns what they are worth."""

    def draw(self) -> Draw | None:
        """The next; None if there is no other."""

    def adopt(self, arch: Arch) -> Draw:
        """Take on an architecture that came from elsewhere as if it had been drawn."""

    def tell(self, draw: Draw, outcome: Outcome) -> None: ...


Sampler = Callable[[Problem], Strategy]
"""From a problem to a strategy for it."""


class RandomDraws:
    """Every architecture inside the cheap limits equally likely, none twice."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem, self._seed = problem, seed

    @cached_property
    def _draws(self) -> Iterator[Arch]:
        """Begun at the first draw, and differently after a restart: what has been drawn is taken by then."""
        return self._problem.draws(np.random.default_rng([self._seed, len(self._problem.taken)]))

    def draw(self) -> Draw | None:
        arch = next(self._draws, None)
        return None if arch is None else Draw(arch)

    def adopt(self, arch: Arch) -> Draw:
        return Draw(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        """Nothing: random draws do not learn."""


class OptunaStrategy:
    """A sampler of Optuna's behind ask and tell."""

    def __init__(self, problem: Problem, make: Callable[..., BaseSampler], seed: int) -> None:
        self._problem, self._seed, self._make = problem, seed, make
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = self._new_study()
        self._worst: list[float] | None = None
        self._taken_on = self._drawn = False
        _probe(self._new_study(), problem.space)

    def _new_study(self) -> optuna.Study:
        directions = [DIRECTIONS[way] for way in self._problem.objectives.values()]
        return optuna.create_study(directions=directions, sampler=self._make(seed=self._seed))

    def draw(self) -> Draw:
        if (
            self._taken_on and not self._drawn
        ):  # a restart: else the same random numbers gave the same networks
            self._study.sampler = self._make(seed=self._seed + len(self._problem.taken))
        self._drawn = True
        trial = self._study.ask()
        return Draw(self._problem.space.suggest(trial), trial)

    def adopt(self, arch: Arch) -> Draw:
        self._taken_on = True
        self._study.enqueue_trial(self._problem.space.params(arch))
        sampler = self._study.sampler
        if isinstance(sampler, TPESampler | GPSampler):  # which would work out a proposal for nothing
            self._study.sampler = RandomSampler(seed=0)
        trial = self._study.ask()
        drawn = self._problem.space.suggest(trial)
        self._study.sampler = sampler
        return Draw(drawn, trial)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        values = self._values(outcome)
        if values is None:
            self._study.tell(draw.ticket, state=TrialState.FAIL)
            return
        excess = self._problem.excess(outcome.metrics)
        for name in self._problem.limits:
            draw.ticket.set_constraint(name, excess.get(name, 0.0))
        self._study.tell(draw.ticket, values)

    def _values(self, outcome: Outcome) -> list[float] | None:
        """Values at full fidelity, unknown ones of what broke a limit as the worst seen; None: not to be told."""
        if outcome.status == "infeasible" and isinstance(self._study.sampler, GPSampler):
            return (
                None  # it would fit the made-up values, and takes seconds to answer with hundreds of trials
            )
        found = [outcome.metrics.get(name) for name in self._problem.objectives]
        if outcome.status == "complete":
            values = [float(value) for value in found if value is not None]
            self._worst = values if self._worst is None else self._worse(values, self._worst)
            return values
        if outcome.status != "infeasible" or self._worst is None:
            return None
        return [
            worst if value is None else float(value) for value, worst in zip(found, self._worst, strict=True)
        ]

    def _worse(self, values: list[float], others: list[float]) -> list[float]:
        ways = self._problem.objectives.values()
        return [
            min(a, b) if way == "max" else max(a, b) for way, a, b in zip(ways, values, others, strict=True)
        ]


def _probe(study: optuna.Study, space: SearchSpace) -> None:
    """Find out before a search starts whether the sampler can do it at all.

    Raises:
        ValueError: with the sampler's own reason.
    """
    try:
        space.suggest(study.ask())
        study.tell(0, [0.0] * len(study.directions))
        space.suggest(study.ask())
    except Exception as error:
        reason = " ".join(f"{error}".split())
        raise ValueError(f"sampler {type(study.sampler).__name__} cannot do this search: {reason}") from error


OPTUNA: dict[str, tuple[type[BaseSampler], dict[str, Any]]] = {
    "nsga2": (NSGAIISampler, {}),
    "nsga3": (NSGAIIISampler, {}),
    "tpe": (TPESampler, {"constant_liar": True}),
    "gp": (GPSampler, {"warn_independent_sampling": False}),
    "qmc": (QMCSampler, {"scramble": True, "warn_independent_sampling": False}),
}
"""Optuna's samplers by name, with the options that suit many trials at once in a space with conditions."""

SAMPLERS = ("random", *OPTUNA)


def _quietly(make: Callable[..., BaseSampler], **options: Any) -> BaseSampler:
    """Optuna warns that some of its samplers may change their interface."""
    with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
        return make(**options)


def make_sampler(name: str, seed: int, options: Mapping[str, Any] | None = None) -> Sampler:
    """The sampler of that name, or ``"module:Name"`` of Optuna's interface.

    Raises:
        ValueError: for an unknown name or option.
    """
    options = dict(options or {})
    if "seed" in options:
        raise ValueError(f"sampler {name}: its seed is the search's own setting 'seed'")
    if name == "random":
        if options:
            raise ValueError(f"sampler random: it has no option {next(iter(options))!r}")
        return partial(RandomDraws, seed=seed)
    if name == "evolution":
        from .evolution import Evolution

        return partial(Evolution, seed=seed, **options)
    make, defaults = OPTUNA.get(name) or (import_named(name, "sampler", SAMPLERS), {})
    make = partial(_quietly, make, **defaults | options)
    try:
        sampler = make(seed=seed)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sampler {name}: {error}") from error
    if not isinstance(sampler, BaseSampler):
        raise ValueError(f"sampler {name}: {type(sampler).__name__} is no optuna.samplers.BaseSampler")
    return partial(OptunaStrategy, make=make, seed=seed)
