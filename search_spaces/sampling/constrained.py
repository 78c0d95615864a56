"""Architectures drawn inside limits on their cost as evenly as if all others had been thrown away.

Where many lie inside, the others *are* thrown away. Where few do, a fit of what knobs do to costs says which
draws are worth counting; where next to none do, draws are changes to the last one inside. Each architecture
is kept or left with the probability that makes up for the way it was found (Metropolis and Hastings).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice, repeat

import numpy as np
from numpy.random import Generator

from search_spaces.arch import Arch
from search_spaces.knobs import Trial
from search_spaces.network import complexity
from search_spaces.sampling.cost_model import CostFit
from search_spaces.sampling.limits import Window, short
from search_spaces.sampling.unit_cube import Cube, FloatArray, RandomTrial
from search_spaces.task import Task

WARM_UP = 3000
"""Plain draws before anything cleverer, and steps that a walk takes to forget how it got inside."""
OFTEN = 0.05
"""Share of plain draws inside the limits from which plain draws go on."""
SURVEY = 100_000
"""Positions at which the fit, not the cost, is asked how rare the inside is."""
SMALLEST_BATCH = 16
LARGEST_BATCH = 512
"""Candidates screened at once: about twice as many as the last move took, which leaves the others behind."""
RARE = 1e-4
"""Share of plain draws inside the limits below which draws start from one that lies inside."""
NEARBY = 40
"""Candidates near the last draw, and expected inside the limits, to a draw that has forgotten the last."""
STEPS_WITHOUT_GAIN = 3000
"""Steps in a row that lead no nearer to the limits before they count as out of reach."""
REPEATS = 1000
"""Draws in a row that have been seen before, after which there is nothing new."""


@dataclass(frozen=True)
class Sample:
    """An architecture, the tape that gives it, its limited costs, and how far they are off (0 inside)."""

    arch: Arch
    tape: dict[str, float]
    costs: dict[str, int]
    outside: float


@dataclass(frozen=True)
class ConstrainedSampler:
    """Draws inside a window, the costs being those of ``complexity(arch, task)``."""

    suggest: Callable[[Trial], Arch]
    rng: Generator
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

    def draws(self) -> Iterator[Sample]:
        """Endless, evenly distributed over what lies inside.

        Plain draws while at least one in twenty lies inside. Else what they cost teaches a fit, which screens
        candidates before they are costed: plain draws, or changes to the last draw where those are too rare.
        """
        tried = []
        # 1. plain draws, handed out as they come: where limits are wide this is all there is
        for draw in islice(self._plain(), WARM_UP):
            tried.append(draw)
            if not draw.outside:
                yield draw
        inside = [draw for draw in tried if not draw.outside]
        if len(inside) >= OFTEN * WARM_UP:
            yield from (draw for draw in self._plain() if not draw.outside)
        # 2. where they are tight, a fit decides what is worth counting
        yield from self._searching(tried, inside)

    def _searching(self, tried: list[Sample], inside: list[Sample]) -> Iterator[Sample]:
        """Where few plain draws lie inside: a fit on all that were costed says where to look."""
        # only now: the plain draws have found out which knobs there are
        cube = Cube(self.sizes, self.rng)
        if not inside:
            nearest = min(tried, key=lambda draw: draw.outside)
            start = self._reach(cube, nearest)
            # the first inside lies at the border; a walk from there forgets that
            inside = list(islice(self._walk(cube, start), WARM_UP))
        fit = self._fit(cube, tried + inside)
        # the chain starts at a draw inside, or its first steps would come from nowhere
        at = inside[-1]
        here = cube.point(inside[-1].tape)
        # independent candidates forget at once where they came from; changes need many steps to
        if fit.expected_inside(cube.anywhere(here, SURVEY)) > RARE:
            for _, draw in self._screened(cube, fit, at, cube.anywhere):
                yield draw
        else:
            yield from self._wandering(cube, fit, at)

    def _wandering(self, cube: Cube, fit: CostFit, at: Sample) -> Iterator[Sample]:
        """Where the chain of changes stands, once in so many candidates that it has forgotten the last."""
        here = cube.point(at.tape)
        # so many candidates that NEARBY of them were expected inside: then the chain has moved on
        share = fit.expected_inside(cube.nearby(here, SURVEY))
        period = NEARBY / max(share, 1e-3)
        time = 0.0
        for tried_since, there in self._screened(cube, fit, at, cube.nearby):
            time += tried_since
            # a state that the chain stays in for long is drawn several times: that is its weight
            yield from repeat(at, int(time // period))
            time %= period
            at = there

    def _draw(self, tape: dict[str, float]) -> Sample:
        arch = self.suggest(RandomTrial(self.rng, tape, self.sizes))
        cost = complexity(arch, self.task)
        costs = {metric: getattr(cost, metric) for metric in self.window.ends}
        return Sample(arch, tape, costs, self.window.outside(costs))

    def _plain(self) -> Iterator[Sample]:
        while True:
            yield self._draw({})

    def _screened(
        self,
        cube: Cube,
        fit: CostFit,
        at: Sample,
        candidates: Callable[[FloatArray, int], FloatArray],
    ) -> Iterator[tuple[int, Sample]]:
        """Cost only candidates that the fit expects near the window, and move to those inside.

        After each inside: the number of candidates since the last, and the architecture where it stands now.
        The fit errs, so what it is likely to miss must count for more: Metropolis-Hastings with delayed
        acceptance (Christen and Fox 2005) stays longer where there was little chance to pass.
        """
        here = cube.point(at.tape)
        # importance of the present state: target density over proposal density, up to a constant
        weight = 1 / fit.passes(here[None])[0]
        since = 0
        count = SMALLEST_BATCH
        while True:
            # the fit prices a whole batch at once
            rows = candidates(here, count)
            passes = fit.passes(rows)
            used = 0
            # stage one: the cheap screen, passed with the probability that the fit gives
            for index in np.flatnonzero(self.rng.random(count) < passes).tolist():
                # stage two: the exact cost
                there = self._draw(cube.tape(rows[index]))
                if there.outside:
                    continue
                # one that seldom passes the screen is seldom left again
                moves = self.rng.random() * weight * passes[index] < 1
                if moves:
                    at = there
                    here = rows[index]
                    weight = 1 / passes[index]
                yield since + index + 1 - used, at
                since = 0
                used = index + 1
                if moves:
                    count = min(max(SMALLEST_BATCH, 2 * (index + 1)), LARGEST_BATCH)
                    break
            else:
                since += count - used
                count = min(2 * count, LARGEST_BATCH)

    def _fit(self, cube: Cube, draws: list[Sample]) -> CostFit:
        points = [cube.point(draw.tape) for draw in draws]
        rows = np.array(points)
        costs = [list(draw.costs.values()) for draw in draws]
        return CostFit.of(
            rows,
            cube.sizes,
            np.array(costs, dtype=float),
            self.window,
            seed=int(self.rng.integers(2**32)),
        )

    def _walk(self, cube: Cube, at: Sample) -> Iterator[Sample]:
        """Changes to ``at``, then to what comes of it, none of which leads farther outside."""
        while True:
            (moved,) = cube.nearby(cube.point(at.tape), 1)
            there = self._draw(cube.tape(moved))
            # equals are taken: a plateau must be crossed, and inside (0) every step is one
            at = at if there.outside > at.outside else there
            yield at

    def _reach(self, cube: Cube, nearest: Sample) -> Sample:
        """Downhill from the nearest draw to the first that lies inside."""
        vain = 0
        for at in self._walk(cube, nearest):
            vain = 0 if at.outside < nearest.outside else vain + 1
            # the walk never gets worse, so the last is the nearest
            nearest = at
            if not nearest.outside:
                break
            if vain == STEPS_WITHOUT_GAIN:
                raise ValueError(self._out_of_reach(nearest))
        return nearest

    def _out_of_reach(self, nearest: Sample) -> str:
        costs = [f"{short(value)} {metric}" for metric, value in nearest.costs.items()]
        return (
            f"found no architecture of space {nearest.arch.space}{self.window}; "
            f"the nearest drawn has {' and '.join(costs)}"
        )
