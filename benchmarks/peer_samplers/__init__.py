"""Samplers of BoTorch, pymoo and SMAC, each asked for one network after the other as ``evolution`` is.

    pip install --no-deps --target peers -r benchmarks/peers.txt
    PYTHONPATH=peers python benchmarks/searchers.py ... --samplers botorch smac pymoo pymoo,offspring=20

What holds for all samplers of SplitSearch holds for them: each network once, inside the limits on costs. Their
decisions are their own. NePS is not among them: it asks for pandas before 3 and GPyTorch 1.13, and does not import
beside BoTorch 0.18. Its Bayesian optimization of several objectives is BoTorch's, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pkgutil import resolve_name
from typing import Any

import optuna

from nas.problem import Problem
from nas.samplers.base import Sampler, Strategy
from search_spaces import Arch
from search_spaces.knobs import Knobs, KnobValue

FIRST = 5
"""Random networks before BoTorch and SMAC learn anything: as many as ``evolution`` begins with."""
PEER_SAMPLERS = {
    "botorch": "peer_samplers.with_botorch:BoTorch",
    "pymoo": "peer_samplers.with_pymoo:Pymoo",
    "smac": "peer_samplers.with_smac:Smac",
}


def peer_sampler(
    name: str, seed: int, reference: Mapping[str, float], **options: int
) -> Sampler:
    """The sampler of that name; ``reference`` bounds the hypervolume that counts in the end."""
    make: Callable[..., Strategy] = resolve_name(PEER_SAMPLERS[name])
    return partial(make, seed=seed, reference=reference, **options)


class KnobTable:
    """The knobs of a space that can vary, and networks by their values."""

    def __init__(self, problem: Problem) -> None:
        self._space = problem.space
        knobs = problem.space.knobs().items()
        self.choices: dict[str, Sequence[KnobValue]] = {
            name: list(values) for name, values in knobs if len(values) > 1
        }

    def arch(self, values: Mapping[str, Any]) -> Arch:
        return self._space.suggest(optuna.trial.FixedTrial(dict(values)))

    def values(self, arch: Arch) -> Knobs:
        """Of all knobs; one that does not apply has its first value."""
        known = self._space.params(arch)
        return {
            name: known.get(name, values[0]) for name, values in self.choices.items()
        }


def is_ordered(choices: Sequence[KnobValue]) -> bool:
    return all(type(value) in (int, float) for value in choices)
