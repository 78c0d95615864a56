from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest

from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.samplers.surrogate import Surrogate
from nas.testing import QUALITY_OBJECTIVES, measure_quality, run_proposer
from results.limits import Limit
from search_spaces import Task, complexity, get_space
from search_spaces.sampling.limits import LIMITED

SPACE = get_space(
    "resnest", depth1=[1, 2], depth2=[1, 2, 3], depth3=[1, 2, 3], depth4=[1]
)


def proposer(**options: int) -> Proposer:
    return Proposer(SPACE, QUALITY_OBJECTIVES, make_sampler("evolution", 0, options))


def best_quality(sampler: str) -> float:
    made = Proposer(SPACE, QUALITY_OBJECTIVES, make_sampler(sampler, 0))
    return max(
        measure_quality(proposal.arch)["quality"] for proposal in run_proposer(made, 60)
    )


def test_it_finds_better_networks_than_chance() -> None:
    assert best_quality("evolution") > 1.05 * best_quality("random")


def test_random_networks_are_weighed_where_mutations_lead_nowhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nowhere(*_: object) -> None:
        raise ValueError("no neighbour")

    monkeypatch.setattr(type(SPACE), "mutate", nowhere)
    monkeypatch.setattr(type(SPACE), "neighbours", lambda *_: [])
    qualities = [
        measure_quality(proposal.arch)["quality"]
        for proposal in run_proposer(proposer(first=16), 60)
    ]
    drawn = [
        measure_quality(SPACE.sample(np.random.default_rng(seed)))["quality"]
        for seed in range(200)
    ]
    assert np.mean(qualities[16:]) > 1.05 * np.mean(drawn)


def test_the_first_design_spans_the_range_of_flops() -> None:
    first = np.log(
        [
            measure_quality(proposal.arch)["flops"]
            for proposal in run_proposer(proposer(first=10), 10)
        ]
    )
    drawn = np.log(
        [
            measure_quality(SPACE.sample(np.random.default_rng(seed)))["flops"]
            for seed in range(100)
        ]
    )
    assert np.ptp(first) > np.ptp(drawn) * 0.9
    assert np.diff(np.sort(first)).max() < np.ptp(first) / 3


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "members",
    [
        ["resnest", "regnety", "fbnetv2"],
        [{"name": "resnest", "radix": 0}, {"name": "resnest", "radix": 2}, "regnety"],
    ],
)
def test_the_first_design_shows_small_and_large_networks_of_each_family(
    members: list[Any], seed: int
) -> None:
    space = get_space(members)
    made = Proposer(space, QUALITY_OBJECTIVES, make_sampler("evolution", seed))
    flops: dict[Any, list[float]] = {}
    for proposal in run_proposer(made, 9):
        family = space.params(proposal.arch)["family"]
        flops.setdefault(family, []).append(measure_quality(proposal.arch)["flops"])
    assert [len(found) for found in flops.values()] == [3, 3, 3]
    assert all(max(found) > 2 * min(found) for found in flops.values())


def test_later_ones_are_near_the_front() -> None:
    """Each differs from some network before it in few knobs."""
    params = [
        SPACE.params(proposal.arch)
        for proposal in run_proposer(proposer(first=8, surrogate=False), 20)
    ]
    for later in params[8:]:
        before = params[: params.index(later)]
        assert (
            min(
                sum(later.get(k) != other.get(k) for k in later | other)
                for other in before
            )
            <= 5
        )


def test_draws_that_are_asked_for_at_once_share_a_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fits = []
    fit = Surrogate.posterior
    monkeypatch.setattr(
        Surrogate, "posterior", lambda *given: fits.append(1) or fit(*given)
    )
    made = proposer()
    run_proposer(made, 12)
    fits.clear()
    asked = [proposal for _ in range(20) if (proposal := made.ask())]
    assert len({proposal.arch.id for proposal in asked}) == 20
    assert len(fits) == 3, "one for eight"
    made.tell(asked[0].trial, "complete", measure_quality(asked[0].arch))
    made.ask()
    assert len(fits) == 4, "what is learnt counts at once"


@pytest.mark.parametrize("seed", range(3))
def test_under_a_tight_limit_it_finds_what_two_knobs_must_change_for(seed: int) -> None:
    """The front of one objective is one network, and hardly a single knob can move inside the limit."""
    space = get_space(
        "resnest", depth1=[1, 2], depth2=[1, 2, 3], depth3=[1, 2, 3], depth4=[1, 2],
        width1=[8, 16, 24], width2=[16, 24, 32, 48], width3=[16, 32, 48, 64],
        width4=[32, 64, 96], bottleneck_width=[32, 64], stem_width=[8, 16],
    )  # fmt: skip
    task = Task(num_classes=10, resolution=32, channels=3, small_images=True)
    window = {"macs": (12.9e6, 13.0e6)}
    drawn = islice(space.samples(np.random.default_rng(7), window, task), 400)
    largest = max(complexity(arch, task).params for arch in drawn)
    sampler = make_sampler("evolution", seed)
    limits = {"macs": Limit(*window["macs"])}
    made = Proposer(space, {"params": "max"}, sampler, seed, task=task, limits=limits)
    found = []
    for _ in range(40):
        proposal = made.ask()
        assert proposal is not None
        cost = complexity(proposal.arch, task)
        found.append(cost.params)
        metrics = {name: getattr(cost, name) for name in LIMITED}
        made.tell(proposal.trial, "complete", metrics)
    assert max(found) == largest
