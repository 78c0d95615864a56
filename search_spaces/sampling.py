"""Architectures drawn inside limits on their cost as evenly as if all others had been thrown away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arch import Arch
from .cost_fit import CostFit
from .layers import Task
from .limits import Window, short
from .network import complexity

WARM_UP = 3000
"""Plain draws before anything cleverer, and steps that a walk takes to forget how it got inside."""
OFTEN = 0.05
"""Share of plain draws inside the limits from which plain draws go on."""
BATCH = 8192
RARE = 4
"""Architectures expected inside among 16 batches below which screening gives way to walking."""
STRIDE = 3
"""Candidates inside the limits that a screened draw is chosen from."""
STEPS = 100
"""Steps of the walk to a draw."""
PATIENCE = 3000
"""Steps in a row that lead no nearer to the limits before they count as out of reach."""
REPEATS = 1000
"""Draws in a row that have been seen before, after which there is nothing new."""


@dataclass(frozen=True)
class RandomTrial:
    """Makes every choice with equal probability, or where ``tape`` says: 0 is the first, 1 past the last.

    ``tape`` and ``sizes`` fill with what was picked, and out of how many.
    """

    rng: np.random.Generator
    tape: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        return low + step * self._pick(name, (high - low) // step + 1)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return choices[self._pick(name, len(choices))]

    def _pick(self, name: str, size: int) -> int:
        self.sizes[name] = max(size, self.sizes.get(name, 0))
        if name not in self.tape:
            self.tape[name] = self.rng.random()
        return int(self.tape[name] * size)


@dataclass(frozen=True)
class Draw:
    """An architecture, the tape that gives it, its limited costs, and how far they are off (0 inside)."""

    arch: Arch
    tape: dict[str, float]
    costs: dict[str, int]
    outside: float


@dataclass(frozen=True)
class Sampler:
    """Draws inside a window, the costs being those of ``complexity(arch, task)``."""

    suggest: Callable[[Any], Arch]
    rng: np.random.Generator
    window: Window
    task: Task
    sizes: dict[str, int] = field(default_factory=dict)

    def distinct(self) -> Iterator[Arch]:
        """Every architecture once, in the order of ``draws``.

        Raises:
            ValueError: if no architecture inside is found, with the nearest; once there is no other.
        """
        seen: set[str] = set()
        repeats = 0
        for draw in self.draws():
            if draw.arch.id not in seen:
                repeats = 0
                seen.add(draw.arch.id)
                yield draw.arch
            elif (repeats := repeats + 1) == REPEATS:
                raise ValueError(
                    f"found only {len(seen)} architectures of space {draw.arch.space}{self.window}; "
                    f"{REPEATS} more draws were all among them"
                )

    def draws(self) -> Iterator[Draw]:
        """Endless, evenly distributed over what lies inside.

        Plain draws while at least one in twenty lies inside. Else what they cost teaches a fit, which screens
        further ones before they are costed; where next to none would lie inside, a walk that stays inside.
        """
        tried = []
        for draw in islice(self._plain(), WARM_UP):
            tried.append(draw)
            if not draw.outside:
                yield draw
        inside = [draw for draw in tried if not draw.outside]
        if len(inside) >= OFTEN * WARM_UP:
            yield from (draw for draw in self._plain() if not draw.outside)
        if not inside:
            start = self._reach(min(tried, key=lambda draw: draw.outside))
            inside = list(islice(self._walk(start), WARM_UP))
            tried += inside
        names = list(self.sizes)
        fit = self._fit(names, tried)
        expected = sum(int((fit.passes(rows) == 1).sum()) for rows in islice(self._rows(names), 16))
        if expected >= RARE:
            yield from self._screened(names, fit, inside[-1])
        else:
            yield from islice(self._walk(inside[-1]), 0, None, STEPS)

    def _draw(self, tape: dict[str, float]) -> Draw:
        arch = self.suggest(RandomTrial(self.rng, tape, self.sizes))
        cost = complexity(arch, self.task)
        costs = {metric: getattr(cost, metric) for metric in self.window.ends}
        return Draw(arch, tape, costs, self.window.outside(costs))

    def _plain(self) -> Iterator[Draw]:
        while True:
            yield self._draw({})

    def _screened(self, names: list[str], fit: CostFit, at: Draw) -> Iterator[Draw]:
        """Plain draws of which only those are costed that the fit expects near the window.

        The fit errs, so what it is likely to miss must count for more: independence Metropolis-Hastings
        (Tierney 1994) stays longer at an architecture that had little chance to pass.
        """
        weight = 1 / float(fit.passes(np.array([self._row(at, names)]))[0])
        candidates = 0
        for rows in self._rows(names):
            passes = fit.passes(rows)
            for index in np.flatnonzero(self.rng.random(BATCH) < passes):
                there = self._draw(dict(zip(names, rows[index].tolist(), strict=True)))
                if there.outside:
                    continue
                if self.rng.random() * weight * passes[index] < 1:
                    at, weight = there, 1 / float(passes[index])
                candidates += 1
                if candidates % STRIDE == 0:
                    yield at

    def _rows(self, names: list[str]) -> Iterator[NDArray[np.float64]]:
        while True:
            yield self.rng.random((BATCH, len(names)))

    def _fit(self, names: list[str], tried: list[Draw]) -> CostFit:
        rows = np.array([self._row(draw, names) for draw in tried])
        costs = np.array([list(draw.costs.values()) for draw in tried], dtype=float)
        seed = int(self.rng.integers(2**32))
        return CostFit.of(rows, [self.sizes[name] for name in names], costs, self.window, seed)

    def _row(self, draw: Draw, names: list[str]) -> list[float]:
        """A draw's tape in full; a knob that it did not have may stand anywhere."""
        return [draw.tape.setdefault(name, self.rng.random()) for name in names]

    def _walk(self, at: Draw) -> Iterator[Draw]:
        """A Markov chain of small changes, none of which leads farther outside."""
        while True:
            there = self._near(at)
            if there.outside <= at.outside:
                at = there
            yield at

    def _reach(self, nearest: Draw) -> Draw:
        vain = 0
        for at in self._walk(nearest):
            vain = 0 if at.outside < nearest.outside else vain + 1
            nearest = at
            if not nearest.outside:
                break
            if vain == PATIENCE:
                has = " and ".join(f"{short(value)} {metric}" for metric, value in nearest.costs.items())
                space = nearest.arch.space
                raise ValueError(
                    f"found no architecture of space {space}{self.window}; the nearest drawn has {has}"
                )
        return nearest

    def _near(self, at: Draw) -> Draw:
        """Move one or a few knobs, by steps of all sizes; there and back are equally likely."""
        tape = dict(at.tape)
        few = min(int(self.rng.geometric(0.5)), len(tape))
        for name in self.rng.permutation(list(tape))[:few].tolist():
            step = self.rng.normal() * 0.01 ** self.rng.random()
            tape[name] = (tape[name] + step) % 1.0
        return self._draw(tape)
