"""A space as a unit cube: one axis a knob, and an architecture for every point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from search_spaces.knobs import ValueT

FloatArray = NDArray[np.float64]


FLOAT_STEPS = 2**20
"""Steps that stand for all floats where a knob has no steps of its own."""


@dataclass(frozen=True)
class RandomTrial:
    """Makes every choice with equal probability, or where ``tape`` says: 0 is the first, 1 past the last.

    ``tape`` and ``sizes`` fill with what was picked, and out of how many.
    """

    rng: Generator
    tape: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        positions = (high - low) // step + 1
        return low + step * self._pick(name, positions)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None
    ) -> float:
        # a continuous knob becomes a fine grid, so that every axis has a finite number of positions
        step = step or (high - low) / FLOAT_STEPS
        positions = round((high - low) / step) + 1
        return low + step * self._pick(name, positions)

    def suggest_categorical(self, name: str, choices: Sequence[ValueT]) -> ValueT:
        return choices[self._pick(name, len(choices))]

    def _pick(self, name: str, size: int) -> int:
        # a conditional range may be longer next time; the fit scales by the longest
        longest = self.sizes.get(name, 0)
        self.sizes[name] = max(size, longest)
        if name not in self.tape:
            self.tape[name] = self.rng.random()
        # position 1.0 belongs to the last choice
        return min(int(self.tape[name] * size), size - 1)


class Cube:
    """The axes known so far, and moves among the points. A knob that turns up later stays random."""

    def __init__(self, sizes: Mapping[str, int], rng: Generator) -> None:
        self.names = list(sizes)
        positions = list(sizes.values())
        self.sizes = np.array(positions, dtype=float)
        self.rng = rng

    def point(self, tape: dict[str, float]) -> FloatArray:
        """A knob that the tape lacks made no difference: it may stand anywhere, and from now on stands."""
        return np.array(
            [tape.setdefault(name, self.rng.random()) for name in self.names]
        )

    def tape(self, point: FloatArray) -> dict[str, float]:
        return dict(zip(self.names, point.tolist(), strict=True))

    def anywhere(self, _: FloatArray, count: int) -> FloatArray:
        return self.rng.random((count, len(self.names)))

    def nearby(self, here: FloatArray, count: int) -> FloatArray:
        """Some knobs moved by a choice or more, round the ends; there and back are equally likely."""
        # which knobs move: mostly few, at times nearly all, so that the chain can leave any valley
        chances = self.rng.random((count, len(here)))
        moved = chances < self.rng.random((count, 1)) ** 4
        if len(here):
            # at least one always does
            knob = self.rng.integers(len(here), size=count)
            moved[np.arange(count), knob] = True
        # step lengths from 0.01 to 1, evenly over the orders of magnitude
        normal = self.rng.normal(size=moved.shape)
        steps = normal * 0.01 ** self.rng.random((count, 1))
        # one choice more in the same direction: a step shorter than a choice would change nothing
        there = here + steps + np.sign(steps) / self.sizes
        return np.where(moved, there % 1, here)
