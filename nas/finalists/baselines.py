"""What the finalists have to beat: published networks, random ones, the user's own, inside the same limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice

import numpy as np

from nas.config.finalists import FinalistsConfig
from nas.finalists.lineup import Entrant, Role
from nas.problem import Problem
from nas.runs.networks import load_baselines
from search_spaces import REFERENCES, complexity
from search_spaces.joint import network_of, settings_of, tuned
from search_spaces.proportions import suggest

STREAM = 17
"""Tells the draws of the baselines from those of the search, which has the same seed."""


def baselines(
    problem: Problem, settings: FinalistsConfig, finalists: Sequence[Entrant], seed: int
) -> list[Entrant]:
    """Published, own and random networks for ``problem``, without those that are finalists already.

    If the search chose how networks are trained, they are trained as the first finalist is.

    Raises:
        ValueError: for an own network that cannot be read or is outside the limits.
    """
    # a baseline that costs more than any finalist would prove nothing
    ceiling = max(complexity(each.arch, problem.task).macs for each in finalists)
    found = [
        *(_published(problem, ceiling) if settings.published else ()),
        *(
            Entrant(arch, Role.OWN, source)
            for source, arch in load_baselines(settings.baselines, problem).items()
        ),
        *_random(problem, settings, finalists, seed),
    ]
    taken = {network_of(each.arch).id for each in finalists}
    new: dict[str, Entrant] = {}
    for each in found:
        if each.arch.id not in taken:
            new.setdefault(each.arch.id, each)
    how = settings_of(finalists[0].arch)
    return [replace(each, arch=tuned(each.arch, how)) for each in new.values()]


def _published(problem: Problem, ceiling: float) -> Iterator[Entrant]:
    """Of each family that is searched the largest that fits and is no dearer than the dearest finalist.

    Where none does, the one that must be scaled least to fill that (``search_spaces.proportions``); none at all
    where even that is outside the limits.
    """
    least = problem.cheap["macs"].min if "macs" in problem.cheap else None
    window = {
        name: (limit.min, limit.max)
        for name, limit in problem.cheap.items()
        if name != "macs"
    } | {"macs": (least, ceiling)}
    for family in families(problem):
        fitting = {
            complexity(arch, problem.task).macs: name
            for name, arch in REFERENCES.items()
            if arch.space == family
            and problem.fits(arch)
            and complexity(arch, problem.task).macs <= ceiling
        }
        if fitting:
            name = fitting[max(fitting)]
            yield Entrant(REFERENCES[name], Role.PUBLISHED, name)
            continue
        with suppress(ValueError):  # no published networks, or none so small
            name, arch = suggest(family, window, problem.task)
            yield Entrant(arch, Role.PUBLISHED, f"{name}, scaled")


def families(problem: Problem) -> list[str]:
    """The families that are searched, each once."""
    # of a union, its families
    members = getattr(problem.space, "members", (problem.space,))
    return list(dict.fromkeys(member.arch_type.space for member in members))


def _random(
    problem: Problem,
    settings: FinalistsConfig,
    finalists: Sequence[Entrant],
    seed: int,
) -> Iterator[Entrant]:
    taken = {network_of(each.arch).id: each for each in finalists}
    # another stream: the search's own seed would draw its first networks again
    draws = replace(problem, taken=taken).draws(np.random.default_rng([seed, STREAM]))
    for number, arch in enumerate(islice(draws, settings.random_networks), start=1):
        yield Entrant(arch, Role.RANDOM, f"random {number}")
