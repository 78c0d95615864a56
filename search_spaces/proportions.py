"""The network that one would draw by hand for a budget: a published one's proportions, all widths scaled."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol, Self, runtime_checkable

import numpy as np

from search_spaces.arch import Arch
from search_spaces.catalog import REFERENCES, SPACES
from search_spaces.extension import nearest
from search_spaces.network import complexity
from search_spaces.sampling.limits import CostLimits, Window, short
from search_spaces.task import IMAGENET, Task

FACTORS = np.geomspace(1 / 16, 4, 97)
"""By which widths are scaled: 16 to an octave, so that hardly a multiple of 8 channels is missed."""


@runtime_checkable
class Scalable(Protocol):
    """An architecture that can be made wider or narrower in proportion."""

    def scaled(self, factor: float) -> Self: ...


def suggest(family: str, limits: CostLimits, task: Task = IMAGENET) -> tuple[str, Arch]:
    """The name of a published network of ``family``, and that network scaled to the most MACs inside ``limits``.

    Depths and the proportions of the widths stay as published: they come from the network that must be scaled
    least, as in the good models of RegNet (Radosavovic et al. 2020, section 4), whose depth hardly changes with
    the budget while widths grow. One that fits, and that no scale brings nearer to the budget, stays as it is.

    Raises:
        ValueError: for a family without published networks, limits without a most, or limits that no scale meets.
    """
    window = Window.of(limits)
    if not any(high < math.inf for _, high in window.ends.values()):
        raise ValueError(
            "a suggestion needs the most of a cost, e.g. --limit macs=13e6"
        )
    found = [
        # twice as wide and half as wide are equally far from the original
        (abs(math.log(factor)), name, arch)
        for name, reference in published_of(family).items()
        for factor, arch in _largest(reference, window, task)
    ]
    if not found:
        raise ValueError(
            f"there is no published {family} network, scaled by {FACTORS[0]:g} to {FACTORS[-1]:g},{window}; "
            f"{_smallest(family, task)}"
        )
    _, name, arch = min(found, key=lambda each: each[0])
    return name, arch


def published_of(family: str) -> dict[str, Arch]:
    """The published networks of a family by name.

    Raises:
        ValueError: if there are none.
    """
    found = {name: arch for name, arch in REFERENCES.items() if arch.space == family}
    if not found:
        raise ValueError(
            f"space {family!r} has no published networks{nearest(family, SPACES)}"
        )
    return found


def _largest(
    reference: Arch, window: Window, task: Task
) -> Iterator[tuple[float, Arch]]:
    """The factor and the scaled network with the most MACs inside the window, if there is one."""
    if not isinstance(reference, Scalable):
        return
    best = None
    for factor in (1.0, *FACTORS):  # first as published, which a tie leaves it
        arch = reference if factor == 1 else reference.scaled(float(factor))
        cost = complexity(arch, task)
        costs = {name: getattr(cost, name) for name in window.ends}
        if window.outside(costs):
            continue
        if best is None or cost.macs > best[0]:
            best = cost.macs, float(factor), arch
    if best is not None:
        yield best[1:]


def _smallest(family: str, task: Task) -> str:
    least = [
        (complexity(arch.scaled(float(FACTORS[0])), task).macs, name)
        for name, arch in published_of(family).items()
        if isinstance(arch, Scalable)
    ]
    macs, name = min(least)
    return f"the smallest, of {name}, has {short(macs)} MACs for {task.resolution} x {task.resolution} pixels"
