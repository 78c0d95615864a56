"""What a user believes to be good, before and beside what is observed.

The first design and the random candidates hold networks with the preferred knobs; the gains of others count less.
That fades with the observations (Hvarfner et al. 2022, "piBO"): a wrong belief costs some trials, not the search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

import numpy as np
from numpy.random import Generator

from nas.samplers.surrogate import Candidate
from results.columns import Array
from search_spaces import Arch, SearchSpace
from search_spaces.extension import nearest
from search_spaces.knobs import KnobValue
from search_spaces.sampling.mutation import ReplayTrial, Scale

STRENGTH = 4.0
"""Observations after which the gain of a network without any preferred knob counts 1/e."""
MANY = 20
"""Values that are not listed any more."""
LOOKED_AT = 100
"""Random networks that show which knobs and values a space has."""


@dataclass(frozen=True)
class Beliefs:
    """The values of some knobs that are believed to be good.

    Raises:
        ValueError: for a knob or value that ``space`` lacks.
    """

    preferred: Mapping[str, KnobValue]
    space: SearchSpace

    def __post_init__(self) -> None:
        if not isinstance(self.preferred, Mapping):
            raise ValueError(
                f"prefer must map knobs to values, as {{radix: 2}}, got {self.preferred!r}"
            )
        for name, value in self.preferred.items():
            if name not in self._choices:
                raise ValueError(
                    f"prefer: there is no knob {name!r}{nearest(name, self._choices)}"
                )
            choices = self._choices[name]
            if not _is_among(value, choices):
                # a scale of floats has a thousand
                some = (
                    choices if len(choices) < MANY else (choices[0], "...", choices[-1])
                )
                listed = ", ".join(map(str, some))
                raise ValueError(f"prefer.{name}: {value!r} is none of {listed}")

    @cached_property
    def _choices(self) -> dict[str, Sequence[KnobValue]]:
        """Legal values by knob, as far as random networks show: what is legal may depend on other knobs."""
        found: dict[str, Sequence[KnobValue]] = {}
        rng = np.random.default_rng(0)
        for _ in range(LOOKED_AT):
            trial = ReplayTrial({}, rng)
            self.space.suggest(trial)
            for name, choices in trial.asked.items():
                if len(choices) > len(found.get(name, ())):
                    found[name] = choices
        return found

    def applied(self, arch: Arch, rng: Generator) -> Arch:
        """``arch`` with all preferred knobs that it can have."""
        params = {**self.space.params(arch), **self.preferred}
        return self.space.suggest(ReplayTrial(params, rng))

    def weights(self, networks: Sequence[Candidate], observations: int) -> Array:
        """How much a gain of each network counts, after so many observations: (networks,), 1 at most."""
        missed = np.array([self._missed(network.knobs) for network in networks])
        # fades as 1 / observations: in the end only what was seen counts
        doubt = STRENGTH * missed / max(observations, 1)
        return np.asarray(np.exp(-doubt))

    def _missed(self, knobs: Mapping[str, KnobValue]) -> float:
        """How far the preferred knobs are off on average, each as a share of its range: 0 to 1."""
        distances = [
            self._distance(name, knobs[name], value)
            for name, value in self.preferred.items()
            if name in knobs
        ]
        return sum(distances) / max(len(distances), 1)

    def _distance(self, name: str, value: KnobValue, wanted: KnobValue) -> float:
        low = self._choices[name][0]
        high = self._choices[name][-1]
        if (
            _is_number(value)
            and _is_number(wanted)
            and _is_number(low)
            and _is_number(high)
        ):
            return float(abs(value - wanted) / ((high - low) or 1))
        return float(value != wanted)


def _is_number(value: KnobValue) -> TypeGuard[float]:
    return type(value) in (int, float)


def _is_among(value: KnobValue, choices: Sequence[KnobValue]) -> bool:
    if isinstance(choices, Scale):
        # of floats the nearest point is taken
        return _is_number(value) and choices[0] <= value <= choices[-1]
    # to Python True is 1
    return any(
        value == other and _is_number(value) == _is_number(other) for other in choices
    )
