"""One small change to an architecture, made through the space's own ``suggest``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import cast, overload

from numpy.random import Generator

from search_spaces.arch import Arch
from search_spaces.knobs import Knobs, KnobValue, Trial, ValueT
from search_spaces.sampling.unit_cube import FLOAT_STEPS


@dataclass(frozen=True)
class Scale(Sequence[float]):
    """Evenly spaced floats."""

    low: float
    step: float
    points: int

    def __len__(self) -> int:
        return self.points

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> list[float]: ...

    def __getitem__(self, index: int | slice) -> float | list[float]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(self.points))]
        return self.low + self.step * index

    def nearest(self, value: float) -> int:
        """The index of what is nearest to ``value``."""
        return round((value - self.low) / self.step)


@dataclass(frozen=True)
class ReplayTrial:
    """Answers with ``params``; a knob that has none there, or none that is legal now, is random.

    ``asked`` fills with the legal values of every knob, in order.
    """

    params: Mapping[str, KnobValue]
    rng: Generator
    asked: dict[str, Sequence[KnobValue]] = field(default_factory=dict)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        choices = range(low, high + 1, step)
        return int(self.suggest_categorical(name, choices))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None
    ) -> float:
        step = step or (high - low) / FLOAT_STEPS
        count = round((high - low) / step) + 1
        self.asked[name] = Scale(low, step, count)
        value = self.params.get(name)
        if isinstance(value, int | float) and low <= value <= high:
            return float(value)
        return low + step * int(self.rng.integers(count))

    def suggest_categorical(self, name: str, choices: Sequence[ValueT]) -> ValueT:
        self.asked[name] = choices
        known = self.params.get(name)
        if known is not None and known in choices:
            return cast("ValueT", known)
        return choices[int(self.rng.integers(len(choices)))]


def neighbour(
    suggest: Callable[[Trial], Arch],
    params_of: Callable[[Arch], Knobs],
    arch: Arch,
    rng: Generator,
) -> Arch:
    """Another architecture, one knob away from ``arch``; each knob that ``arch`` has is equally likely.

    Raises:
        ValueError: if ``suggest`` cannot give ``arch``, or no knob leads to another architecture.
    """
    if other := next(neighbours(suggest, params_of, arch, rng), None):
        return other
    raise ValueError(
        f"no knob of this space leads from {arch.space} {arch.id} to another architecture"
    )


def neighbours(
    suggest: Callable[[Trial], Arch],
    params_of: Callable[[Arch], Knobs],
    arch: Arch,
    rng: Generator,
) -> Iterator[Arch]:
    """The nearest other architecture each way that a knob can move, in random order; some may be equal.

    Raises:
        ValueError: if ``suggest`` cannot give ``arch``.
    """
    params = params_of(arch)
    # a replay of the knobs shows which are in play here, and their choices in this space
    trial = ReplayTrial(params, rng)
    replayed = suggest(trial)
    if replayed != arch:
        raise ValueError(_outside(arch, params, params_of(replayed)))
    for name in rng.permutation(list(trial.asked)).tolist():
        moves = _moves(trial.asked[name], params[name])
        for way in rng.permutation(len(moves)).tolist():
            # knobs that this one brings into play are not in params, so they are drawn at random
            others = (
                suggest(ReplayTrial({**params, name: value}, rng))
                for value in moves[way]
            )
            # the first that makes a difference, if one does
            yield from islice((each for each in others if each.id != arch.id), 1)


def _outside(arch: Arch, params: Knobs, legal: Knobs) -> str:
    """Why a space does not hold ``arch``: the first of its knobs that came out of a replay changed."""
    wrong = next(name for name in params if legal.get(name) != params[name])
    return f"{arch.space} {arch.id} is not in this space, which has no {wrong} {params[wrong]!r}"


def _moves(choices: Sequence[KnobValue], value: KnobValue) -> list[list[KnobValue]]:
    """Ways to go from ``value``, in each the values from near to far: up or down a scale, or to any category.

    The farther ones serve where the nearer make no difference, as when both are rounded to the same width.
    """
    if not _is_scale(choices):
        # categories have no order: each is one step away
        return [[other] for other in choices if other != value]
    at = _place(choices, value)
    ways = []
    # up, then down
    for sign, room in ((1, len(choices) - 1 - at), (-1, at)):
        # doubling strides: a long scale needs a dozen tries, not thousands
        strides = [2**power for power in range(room.bit_length())]
        ways.append(
            [
                choices[at + sign * stride]
                # and the end of the scale, which a power of two seldom hits
                for stride in dict.fromkeys([*strides, room])
                if stride
            ]
        )
    return [way for way in ways if way]


def _place(choices: Sequence[KnobValue], value: KnobValue) -> int:
    if isinstance(choices, Scale):
        return choices.nearest(float(value))
    return choices.index(value)


def _is_scale(choices: Sequence[KnobValue]) -> bool:
    """Numbers in ascending order."""
    if isinstance(choices, range | Scale):
        return True
    return all(type(value) in (int, float) for value in choices) and list(
        choices
    ) == sorted(choices)
