from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas.proposer import Proposer
from nas.samplers import SAMPLERS, make_sampler
from search_spaces import SearchSpace, complexity, get_space

OBJECTIVES = {"params": "min", "flops": "max"}
TINY: dict[str, Any] = {
    "depth1": 1, "depth2": 1, "depth3": 1, "depth4": 1, "width2": 64, "width3": 128, "width4": 256,
    "bottleneck_width": 64, "cardinality": 1, "stem_width": 16, "deep_stem": True, "avg_down": True, "avd": False,
}  # fmt: skip


def proposer(sampler: str = "random", space: SearchSpace | None = None) -> Proposer:
    return Proposer(space or get_space("resnest"), OBJECTIVES, make_sampler(sampler, seed=0))


def evaluate(made: Proposer, count: int) -> list[str]:
    """Ask and tell ``count`` times; the ids proposed."""
    ids: list[str] = []
    while len(ids) < count:
        proposal = made.ask()
        assert proposal is not None
        if proposal.duplicate_of is not None:
            continue
        cost = complexity(proposal.arch)
        made.tell(proposal.trial, "complete", {"params": cost.params, "flops": cost.flops, "device": "any"})
        ids.append(proposal.arch.id)
    return ids


@pytest.mark.parametrize("sampler", SAMPLERS)
class TestEverySampler:
    def test_the_same_seed_proposes_the_same(self, sampler: str) -> None:
        assert evaluate(proposer(sampler), 15) == evaluate(proposer(sampler), 15)

    def test_all_is_proposed_and_nothing_twice(self, sampler: str) -> None:
        """Also by samplers that keep to what they like."""
        wide = {
            "width1": [32, 64, 96],
            "width2": [64, 128],
            "radix": [0, 1, 2, 4],
            "deep_stem": [False, True],
        }
        made = proposer(sampler, get_space("resnest", **TINY | wide))
        assert len(set(evaluate(made, 48))) == 48
        left = list(iter(made.ask, None))
        assert all(proposal.duplicate_of is not None for proposal in left), "the space holds 48 networks"

    def test_many_in_flight_are_distinct(self, sampler: str) -> None:
        made = proposer(sampler)
        asked = [made.ask() for _ in range(16)]
        assert len({proposal.arch.id for proposal in asked if proposal}) == 16

    def test_failures_do_not_stop_it(self, sampler: str) -> None:
        made = proposer(sampler)
        for _ in range(15):
            proposal = made.ask()
            assert proposal is not None
            made.tell(proposal.trial, "failed", {})


def test_trials_are_numbered_from_zero() -> None:
    made = proposer()
    assert [proposal.trial for proposal in (made.ask(), made.ask(), made.ask()) if proposal] == [0, 1, 2]


def test_directions_are_understood() -> None:
    """NSGA-II learns: minimising params and FLOPs, its later networks are smaller than its first."""
    made = Proposer(
        get_space("resnest"),
        {"params": "min", "flops": "min"},
        make_sampler("nsga2", 0, {"population_size": 10}),
    )
    flops = []
    for _ in range(100):
        proposal = made.ask()
        assert proposal is not None
        cost = complexity(proposal.arch)
        made.tell(proposal.trial, "complete", {"params": cost.params, "flops": cost.flops})
        flops.append(cost.flops)
    assert np.median(flops[-20:]) < 0.7 * np.median(flops[:20])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nsga4", {}, "unknown sampler 'nsga4'; built in: random, nsga2, nsga3, tpe, gp"),
        ("nsga2", {"population": 4}, "sampler nsga2: .*unexpected keyword argument 'population'"),
        (
            "nsga2",
            {"population_size": 0},
            "sampler nsga2: `population_size` must be greater than or equal to 2",
        ),
        (
            "nothing:Here",
            {},
            "sampler 'nothing:Here' cannot be imported: ModuleNotFoundError: No",
        ),
    ],
)
def test_a_wrong_sampler_is_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_sampler(name, 0, options)


def test_a_sampler_of_ones_own_is_named_by_module() -> None:
    made = make_sampler("optuna.samplers:TPESampler", 0, {"n_startup_trials": 3})
    assert type(made).__name__ == "TPESampler"
