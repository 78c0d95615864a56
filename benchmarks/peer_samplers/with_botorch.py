"""qLogNEHVI of BoTorch (Daulton et al. 2021, Ament et al. 2023)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain, islice

import numpy as np
import torch
from botorch import fit_gpytorch_mll
from botorch.acquisition.multi_objective.logei import (
    qLogNoisyExpectedHypervolumeImprovement,
)
from botorch.models import ModelList, SingleTaskGP
from botorch.models.deterministic import GenericDeterministicModel
from botorch.models.transforms.input import FilterFeatures
from botorch.sampling.get_sampler import get_sampler
from gpytorch import ExactMarginalLogLikelihood

from nas.problem import Problem
from nas.samplers.base import Draw, Outcome, RandomDraws
from nas.samplers.hypervolume import undominated
from peer_samplers import FIRST, KnobTable, is_ordered
from results.columns import Array
from search_spaces import Arch

POOL = 300
"""Random networks to choose among, and as many neighbours of the front."""
MC_SAMPLES = 64
AT_ONCE = 100
"""Candidates whose gains are worked out together."""


class BoTorch:
    """BoTorch's Gaussian processes with their own priors; the best by qLogNEHVI of a pool is next.

    Costs are known to it: as inputs, and those among the objectives as exact functions. The pool has random
    networks and one-knob neighbours of the front, all inside the limits.
    """

    def __init__(
        self, problem: Problem, seed: int, reference: Mapping[str, float]
    ) -> None:
        warnings.filterwarnings("ignore")  # of rounding, and of inputs beyond [0, 1]
        torch.manual_seed(seed)
        self._problem, self._knobs = problem, KnobTable(problem)
        self._rng = np.random.default_rng(seed)
        self._random = RandomDraws(problem, seed)
        self._worst = problem.losses(reference)
        self._observed: dict[str, tuple[Arch, Array]] = {}
        self._flying: dict[str, Arch] = {}
        self._rows: dict[str, list[float]] = {}

    def draw(self) -> Draw | None:
        if len(self._observed) < FIRST:
            drawn = self._random.draw()
            return drawn and self.adopt(drawn.arch)
        pool = self._pool()
        return self.adopt(pool[self._best(pool)]) if pool else None

    def adopt(self, arch: Arch) -> Draw:
        self._flying[arch.id] = arch
        return Draw(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        self._flying.pop(draw.arch.id, None)
        if outcome.status == "complete":
            losses = self._problem.losses(outcome.metrics)
            self._observed[draw.arch.id] = draw.arch, losses

    def _pool(self) -> list[Arch]:
        archs, losses = zip(*self._observed.values(), strict=True)
        best = np.flatnonzero(undominated(np.array(losses))).tolist()
        neighbours = self._problem.space.neighbours
        near = [*chain.from_iterable(neighbours(archs[i], self._rng) for i in best)]
        some = self._rng.permutation(len(near))[:POOL].tolist()
        random = islice(self._problem.draws(self._rng), POOL)
        found = {arch.id: arch for arch in [*random, *(near[i] for i in some)]}
        taken, fits = self._problem.taken, self._problem.fits
        return [arch for key, arch in found.items() if key not in taken and fits(arch)]

    def _best(self, pool: Sequence[Arch]) -> int:
        archs, told = zip(*self._observed.values(), strict=True)
        losses = np.array(told)
        # each objective from 0 at the reference point to 1, the best seen
        span = np.where(self._worst > losses.min(0), self._worst - losses.min(0), 1.0)
        table = np.array([self._row(arch) for arch in archs])
        low, high = table.min(axis=0), table.max(axis=0)
        width = np.where(high > low, high - low, 1.0)

        def rows(networks: Sequence[Arch]) -> torch.Tensor:
            """Inputs from 0 to 1, then the costs of each network in place of its objectives."""
            inputs = np.array([self._row(arch) for arch in networks])
            exact = np.array([self._exact(arch) for arch in networks])
            goals = (self._worst - exact) / span
            return torch.tensor(np.hstack([(inputs - low) / width, goals]))

        x, y = rows(archs), torch.tensor((self._worst - losses) / span)
        model = ModelList(*self._models(x, y, table.shape[1]))
        with torch.no_grad():
            sampler = get_sampler(model.posterior(x[:2]), torch.Size([MC_SAMPLES]))
            gain = qLogNoisyExpectedHypervolumeImprovement(
                model,
                ref_point=[0.0] * len(span),
                X_baseline=x,
                sampler=sampler,
                prune_baseline=True,
                cache_root=False,
                X_pending=rows([*self._flying.values()]) if self._flying else None,
            )
            parts = rows(pool)[:, None].split(AT_ONCE)
            return int(torch.cat([gain(part) for part in parts]).argmax())

    def _models(
        self, x: torch.Tensor, y: torch.Tensor, inputs: int
    ) -> list[SingleTaskGP | GenericDeterministicModel]:
        models: list[SingleTaskGP | GenericDeterministicModel] = []
        for place, name in enumerate(self._problem.objectives):
            if name in self._problem.costs(self._observed_arch):
                exact = partial(_column, place=inputs + place)
                models.append(GenericDeterministicModel(exact, num_outputs=1))
                continue
            only = FilterFeatures(torch.arange(inputs))
            model = SingleTaskGP(x, y[:, place : place + 1], input_transform=only)
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            models.append(model)
        return models

    @property
    def _observed_arch(self) -> Arch:
        return next(iter(self._observed.values()))[0]

    def _exact(self, arch: Arch) -> Array:
        """Losses as far as costs tell them, 0 for those that are measured."""
        nothing = dict.fromkeys(self._problem.objectives, 0.0)
        return self._problem.losses(nothing | self._problem.costs(arch))

    def _row(self, arch: Arch) -> list[float]:
        """Log costs, then a column per ordered knob, and one per value of any other."""
        if arch.id not in self._rows:
            row = np.log([*self._problem.costs(arch).values()]).tolist()
            for name, value in self._knobs.values(arch).items():
                choices = self._knobs.choices[name]
                if is_ordered(choices):
                    row.append(choices.index(value))
                else:
                    row += [float(value == other) for other in choices]
            self._rows[arch.id] = row
        return self._rows[arch.id]


def _column(rows: torch.Tensor, place: int) -> torch.Tensor:
    return rows[..., place : place + 1]
