"""A search space draws architectures from an Optuna-style trial, define-by-run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from numpy.random import Generator

from search_spaces.arch import Arch
from search_spaces.grid import Grid
from search_spaces.knobs import Knobs, KnobValue, Trial, check_knob
from search_spaces.sampling.constrained import ConstrainedSampler
from search_spaces.sampling.limits import CostLimits, Window
from search_spaces.sampling.mutation import neighbour, neighbours
from search_spaces.sampling.streams import Streams
from search_spaces.sampling.unit_cube import RandomTrial
from search_spaces.task import IMAGENET, Task

STREAMS = Streams()


@dataclass(frozen=True)
class SearchSpace(ABC):
    """Base of all spaces; a subclass is a frozen dataclass with one sequence of choices per knob."""

    arch_type: ClassVar[type[Arch]]

    @abstractmethod
    def suggest(self, trial: Trial) -> Arch:
        """One architecture, its knobs chosen by ``trial`` among this space's choices."""

    @abstractmethod
    def params(self, arch: Arch) -> Knobs:
        """The knob values with which ``suggest`` would give ``arch``: flat, named as in ``suggest``."""

    def sample(
        self,
        rng: Generator,
        limits: CostLimits | None = None,
        task: Task = IMAGENET,
    ) -> Arch:
        """One architecture, every choice equally likely; with ``limits``, the next of ``samples`` of ``rng``.

        Called in a loop it is as fast as the iterator, and repeats nothing before all has been drawn.

        Raises:
            ValueError: as ``samples`` does.
        """
        if not limits:
            return self._draw(rng)
        # hashable, and the same for every way to write the same limits
        ends = tuple(Window.of(limits).ends.items())
        return STREAMS.next(
            (self, rng), (ends, task), lambda: self.samples(rng, limits, task)
        )

    def _draw(self, rng: Generator) -> Arch:
        """One architecture, whatever it costs."""
        return self.suggest(RandomTrial(rng))

    def samples(
        self,
        rng: Generator,
        limits: CostLimits | None = None,
        task: Task = IMAGENET,
    ) -> Iterator[Arch]:
        """Different architectures (by id) without end, distributed as ``sample`` is inside the limits.

        ``limits`` are on ``macs``, ``flops``, ``params`` and ``activations`` of ``complexity(arch, task)``:
        ``(low, high)``, either of them None, or the highest value alone. No network is built.

        Raises:
            ValueError: naming a wrong limit; on the way, if no (other) architecture inside is found.
        """
        return ConstrainedSampler(
            self.suggest, rng, Window.of(limits or {}), task
        ).distinct()

    def mutate(self, arch: Arch, rng: Generator) -> Arch:
        """Another architecture of this space, one small change away.

        One knob that ``arch`` has moves to the next value, or to another category; knobs that come into play
        through it are random, and one that the change rules out moves along (``wa`` with ``wm`` in RegNetY).

        Raises:
            ValueError: if ``arch`` is not in this space, or nothing else is.
        """
        return neighbour(self.suggest, self.params, arch, rng)

    def neighbours(self, arch: Arch, rng: Generator) -> list[Arch]:
        """All that ``mutate`` could give, each once; knobs that come into play are random.

        Raises:
            ValueError: if ``arch`` is not in this space.
        """
        return list(
            {
                other.id: other
                for other in neighbours(self.suggest, self.params, arch, rng)
            }.values()
        )

    def knobs(self) -> dict[str, Sequence[KnobValue]]:
        """The choices of every knob."""
        names = [field.name for field in fields(self)]
        return {name: getattr(self, name) for name in names}

    def narrowed(self, knob: str, choices: Sequence[KnobValue]) -> SearchSpace:
        """This space with other choices for one knob."""
        return replace(self, **{knob: choices})

    def check_choices(self, legal: Mapping[str, Collection[KnobValue]]) -> None:
        """Raise ``ValueError`` naming a knob with an illegal choice; ints for floats become floats."""
        for name, choices in self.knobs().items():
            if isinstance(legal[name], Grid) and not isinstance(choices, Grid):
                # YAML reads 6 where 6.0 was meant
                choices = tuple(
                    float(value) if type(value) is int else value for value in choices
                )
                object.__setattr__(self, name, choices)
            for value in (
                # a grid has too many points to check: if low, the next and high are
                # legal, so are all between
                (*choices[:2], choices.high) if isinstance(choices, Grid) else choices
            ):
                check_knob(f"space {self.arch_type.space}", name, value, legal[name])
