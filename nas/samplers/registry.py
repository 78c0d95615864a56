"""Samplers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from optuna.samplers import BaseSampler

from nas.problem import Problem
from nas.samplers.base import RandomDraws, Sampler, Strategy
from nas.samplers.evolution import Evolution
from nas.samplers.optuna import OPTUNA, OptunaStrategy, make_quietly
from search_spaces import get_space
from search_spaces.extension import import_named

OURS: dict[str, Callable[..., Strategy]] = {
    "random": RandomDraws,
    "evolution": Evolution,
}
SAMPLERS = (*OURS, *OPTUNA)
OF_THE_SPACE = ("learn_from", "prefer")
"""Options that are checked against the space that is searched."""


def _ours(name: str, seed: int, options: dict[str, object]) -> Sampler:
    make = partial(OURS[name], seed=seed, **options)
    try:
        # so that a wrong option is found here; what needs the search's space, with it
        other = {key: it for key, it in options.items() if key not in OF_THE_SPACE}
        partial(OURS[name], seed=seed, **other)(Problem(get_space("resnest"), {}))
    except (TypeError, ValueError) as error:
        raise ValueError(f"sampler {name}: {error}") from error
    return make


def make_sampler(
    name: str, seed: int, options: Mapping[str, object] | None = None
) -> Sampler:
    """The sampler of that name, or ``"module:Name"`` of Optuna's interface.

    Raises:
        ValueError: for an unknown name or option.
    """
    options = dict(options or {})
    if "seed" in options:
        raise ValueError(f"sampler {name}: its seed is the search's own setting 'seed'")
    if name in OURS:
        return _ours(name, seed, options)
    make, defaults = OPTUNA.get(name) or (import_named(name, "sampler", SAMPLERS), {})
    make = partial(make_quietly, make, **defaults | options)
    try:
        sampler = make(seed=seed)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sampler {name}: {error}") from error
    if not isinstance(sampler, BaseSampler):
        raise ValueError(
            f"sampler {name}: {type(sampler).__name__} is no optuna.samplers.BaseSampler"
        )
    return partial(OptunaStrategy, make=make, seed=seed)
