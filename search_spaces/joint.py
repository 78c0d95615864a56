"""Networks and how they are trained as one space: settings of the training are knobs like any other.

A ``JointSpace`` wraps a space of networks. What it draws is a ``TunedArch``: a network, and the settings chosen
for it. Whoever asks for a network's cost or builds it need not know; whoever trains asks ``settings_of``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Self

from numpy.random import Generator

from search_spaces import catalog
from search_spaces.arch import Arch, brief, canonical
from search_spaces.knobs import Knobs, KnobValue, Trial, choose
from search_spaces.network import Description
from search_spaces.sampling.limits import CostLimits
from search_spaces.sampling.mutation import neighbour, neighbours
from search_spaces.space import SearchSpace
from search_spaces.task import IMAGENET, Task

OF_TRAINING = "training"
"""Chosen stand under this name in an architecture's JSON, and before the dot in their knobs' names."""

Chosen = tuple[tuple[str, KnobValue], ...]


@dataclass(frozen=True)
class TunedArch(Arch):
    """``network``, to be trained with these settings (names and values). Its id tells both."""

    network: Arch
    training: Chosen

    def __post_init__(self) -> None:
        """Equal settings are spelled alike; whoever trains checks what they are."""
        object.__setattr__(self, "training", tuple(sorted(self.training)))

    @property
    def space(self) -> str:  # type: ignore[override]  # the network's own
        return self.network.space

    def describe(self) -> Description:
        return self.network.describe()

    @cached_property
    def id(self) -> str:
        # two trainings of one network are two trials with two accuracies
        told = canonical((self.network.id, self.training))
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        return self.network.to_dict() | {OF_TRAINING: dict(self.training)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        network = {name: values[name] for name in values if name != OF_TRAINING}
        for name, value in values[OF_TRAINING].items():
            if not isinstance(value, KnobValue):
                raise ValueError(
                    f"{OF_TRAINING}: {name} must be a number, a text, true or false, "
                    f"got {brief(value)}"
                )
        return cls(
            catalog.network_from_dict(network), tuple(values[OF_TRAINING].items())
        )


def arch_from_dict(values: Mapping[str, Any]) -> Arch:
    """Inverse of ``Arch.to_dict``.

    Raises:
        ValueError: naming the field that is missing, unknown or wrong.
    """
    # no knob is a mapping, so a family may have one of that name
    if isinstance(values, Mapping) and isinstance(values.get(OF_TRAINING), Mapping):
        return TunedArch.from_dict(values)
    return catalog.network_from_dict(values)


def network_of(arch: Arch) -> Arch:
    """The network itself, without what was chosen for its training."""
    return arch.network if isinstance(arch, TunedArch) else arch


def settings_of(arch: Arch) -> Knobs:
    """What was chosen for the training of ``arch``; empty if nothing was."""
    return dict(arch.training) if isinstance(arch, TunedArch) else {}


def tuned(arch: Arch, settings: Mapping[str, KnobValue]) -> Arch:
    """The network of ``arch``, to be trained with these settings."""
    network = network_of(arch)
    return TunedArch(network, tuple(settings.items())) if settings else network


@dataclass(frozen=True)
class JointSpace(SearchSpace):
    """Every network of ``networks`` with every combination of the ``choices`` for its training.

    Knobs are those of the network, and ``training.<setting>``.
    """

    arch_type: ClassVar[type[Arch]] = TunedArch

    networks: SearchSpace
    choices: tuple[tuple[str, tuple[KnobValue, ...]], ...]

    def suggest(self, trial: Trial) -> Arch:
        return self._trained(self.networks.suggest(trial), trial)

    def _trained(self, network: Arch, trial: Trial) -> Arch:
        chosen = tuple(
            (name, choose(trial, f"{OF_TRAINING}.{name}", values))
            for name, values in self.choices
        )
        return TunedArch(network, chosen)

    def params(self, arch: Arch) -> Knobs:
        knobs = self.networks.params(network_of(arch))
        return knobs | _knobs(settings_of(arch))

    def adopted(self, arch: Arch) -> Arch:
        """A network from elsewhere as one of this space: what was not chosen for it is the first choice."""
        known = settings_of(arch)
        legal = {name for name, values in self.choices if known.get(name) in values}
        settings = {
            name: known[name] if name in known and name in legal else values[0]
            for name, values in self.choices
        }
        return tuned(arch, settings)

    def _draw(self, rng: Generator) -> Arch:
        return TunedArch(self.networks.sample(rng), self._settings(rng))

    def _settings(self, rng: Generator) -> Chosen:
        return tuple(
            (name, values[int(rng.integers(len(values)))])
            for name, values in self.choices
        )

    def samples(
        self,
        rng: Generator,
        limits: CostLimits | None = None,
        task: Task = IMAGENET,
    ) -> Iterator[Arch]:
        """As ``SearchSpace.samples``; all networks come once before one comes with other settings."""
        first: list[TunedArch] = []
        try:
            for network in self.networks.samples(rng, limits, task):
                first.append(TunedArch(network, self._settings(rng)))
                yield first[-1]
        except ValueError:
            if not first:
                raise
        yield from self._with_other_settings(first, rng)
        raise ValueError(
            f"found only {len(first)} networks, and each with every setting of its training"
        )

    def _with_other_settings(
        self, first: Sequence[TunedArch], rng: Generator
    ) -> Iterator[Arch]:
        names = [name for name, _ in self.choices]
        choices = (values for _, values in self.choices)
        combinations = list(product(*choices))
        # every network with every setting, in random order
        pairs = len(first) * len(combinations)
        for pair in rng.permutation(pairs).tolist():
            place, which = divmod(pair, len(combinations))
            settings = tuple(zip(names, combinations[which], strict=True))
            other = replace(first[place], training=settings)
            if other != first[place]:
                yield other

    def mutate(self, arch: Arch, rng: Generator) -> Arch:
        """Another choice for the training, or a mutation of the network; every knob is as likely.

        Raises:
            ValueError: if ``arch`` is not in this space, or nothing else is.
        """
        network = network_of(arch)
        settings = settings_of(arch)
        knobs = len(self.networks.params(network))
        # in proportion: each knob is as likely as any other
        if rng.random() * (knobs + len(settings)) < knobs:
            try:
                return tuned(self.networks.mutate(network, rng), settings)
            except ValueError:  # the only network
                pass
        return neighbour(*self._around(network), arch, rng)

    def neighbours(self, arch: Arch, rng: Generator) -> list[Arch]:
        network = network_of(arch)
        settings = settings_of(arch)
        others = self.networks.neighbours(network, rng)
        return [
            *(tuned(other, settings) for other in others),
            *neighbours(*self._around(network), arch, rng),
        ]

    def _around(self, network: Arch) -> tuple[Any, Any]:
        """``suggest`` and ``params`` of the space of this network alone."""
        return (
            lambda trial: self._trained(network, trial),
            lambda arch: _knobs(settings_of(arch)),
        )

    def knobs(self) -> dict[str, Sequence[Any]]:
        settings = _knobs(dict(self.choices))
        return {**self.networks.knobs(), **settings}

    def narrowed(self, knob: str, choices: Sequence[Any]) -> SearchSpace:
        name = knob.removeprefix(f"{OF_TRAINING}.")
        if name not in dict(self.choices):
            return replace(self, networks=self.networks.narrowed(knob, choices))
        narrow = dict(self.choices) | {name: tuple(choices)}
        return replace(self, choices=tuple(narrow.items()))


def _knobs(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{OF_TRAINING}.{name}": value for name, value in settings.items()}
