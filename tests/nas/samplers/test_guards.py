"""What searches can be like at their worst; ``evolution`` goes on, and is no worse than chance."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest

from nas.problem import Problem
from nas.samplers.base import Outcome
from nas.samplers.proposer import Proposal, Proposer
from nas.samplers.registry import make_sampler
from nas.testing import TINY
from search_spaces import Arch, complexity, get_space

SPACE = get_space(
    "resnest", depth1=[1, 2], depth2=[1, 2, 3], depth3=[1, 2, 3], depth4=[1]
)
Measure = Callable[[Arch], dict[str, float]]


def costs(arch: Arch) -> dict[str, float]:
    cost = complexity(arch)
    return {
        name: getattr(cost, name) for name in ("flops", "macs", "params", "activations")
    }


def searched(
    made: Proposer, measure: Measure, trials: int, limit: str = ""
) -> list[Proposal]:
    """``trials`` at most, those with ``limit`` above 1 infeasible."""
    proposals = []
    while len(proposals) < trials and (proposal := made.ask()):
        metrics = measure(proposal.arch)
        status = "infeasible" if limit and metrics[limit] > 1 else "complete"
        made.tell(proposal.trial, status, metrics)
        proposals.append(proposal)
    return proposals


@pytest.mark.parametrize(
    "objectives", [["flops"], ["flops", "params", "activations", "quality"]]
)
def test_one_objective_and_four(objectives: list[str]) -> None:
    made = Proposer(
        SPACE, dict.fromkeys(objectives, "min"), make_sampler("evolution", 0)
    )
    found = searched(
        made, lambda arch: costs(arch) | {"quality": costs(arch)["params"] ** 0.5}, 20
    )
    assert len({proposal.arch.id for proposal in found}) == 20


def test_one_objective_is_driven_down() -> None:
    def error(arch: Arch) -> dict[str, float]:
        return {"error": abs(np.log(costs(arch)["activations"] / 9e6))}

    made = Proposer(SPACE, {"error": "min"}, make_sampler("evolution", 0))
    errors = [error(proposal.arch)["error"] for proposal in searched(made, error, 30)]
    assert min(errors[8:]) < min(errors[:8])


def test_a_limit_that_most_networks_break_is_found_a_way_into() -> None:
    sizes = [
        costs(SPACE.sample(np.random.default_rng(seed)))["activations"]
        for seed in range(100)
    ]
    most = float(np.quantile(sizes, 0.05))

    def measure(arch: Arch) -> dict[str, float]:
        latency = costs(arch)["activations"] / most
        return {"latency": latency} | ({"quality": latency} if latency <= 1 else {})

    made = Proposer(
        SPACE, {"quality": "max"}, make_sampler("evolution", 0), limits={"latency": 1}
    )
    inside = [
        measure(found.arch)["latency"] <= 1
        for found in searched(made, measure, 40, "latency")
    ]
    assert np.mean(inside[20:]) > 0.3, "of random networks one in twenty"


def test_four_networks_are_all_tried() -> None:
    four = get_space("resnest", radix=[1, 2], cardinality=[1, 2], **TINY)
    made = Proposer(
        four, {"flops": "min", "params": "min"}, make_sampler("evolution", 0)
    )
    assert len(searched(made, costs, 10)) == 4


def test_networks_told_again_with_other_values_do_no_harm() -> None:
    """As where a log holds a network twice: singular but for the noise."""
    rng = np.random.default_rng(0)
    taken: dict[str, object] = {}
    problem = Problem(SPACE, {"quality": "max", "flops": "min"}, taken=taken)
    strategy = make_sampler("evolution", 0)(problem)
    for arch in islice(problem.draws(np.random.default_rng(1)), 10):
        taken[arch.id] = None
        for _ in range(3):
            metrics = costs(arch) | {"quality": float(rng.normal())}
            strategy.tell(strategy.adopt(arch), Outcome("complete", metrics))
    draws = [strategy.draw() for _ in range(5)]
    assert len({draw.arch.id for draw in draws if draw} - taken.keys()) == 5


def test_duplicates_in_a_log_are_replayed() -> None:
    objectives = {"quality": "max", "flops": "min"}
    made = Proposer(SPACE, objectives, make_sampler("evolution", 0))
    first = searched(made, lambda arch: costs(arch) | {"quality": 1.0}, 6)
    again = Proposer(SPACE, objectives, make_sampler("evolution", 0))
    for proposal in first:
        again.replay(proposal.trial, proposal.arch)
        again.tell(proposal.trial, "complete", costs(proposal.arch) | {"quality": 1.0})
        again.replay(proposal.trial + 6, proposal.arch, duplicate_of=proposal.trial)
    new = searched(again, lambda arch: costs(arch) | {"quality": 1.0}, 6)
    assert not {it.arch.id for it in new} & {it.arch.id for it in first}


def test_equal_values_leave_something_to_try() -> None:
    made = Proposer(
        SPACE, {"quality": "max", "speed": "max"}, make_sampler("evolution", 0)
    )
    found = searched(made, lambda _: {"quality": 1.0, "speed": 0.0}, 24)
    assert len({proposal.arch.id for proposal in found}) == 24


def test_noise_beyond_the_signal_is_no_worse_than_chance() -> None:
    rng = np.random.default_rng(0)

    def signal(arch: Arch) -> float:
        return float(np.log(costs(arch)["params"]))

    def noisy(arch: Arch) -> dict[str, float]:
        return {"quality": signal(arch) + 2 * rng.normal()}

    means = {}
    for name in ("random", "evolution"):
        made = Proposer(SPACE, {"quality": "max"}, make_sampler(name, 0))
        means[name] = np.mean(
            [signal(found.arch) for found in searched(made, noisy, 40)]
        )
    assert means["evolution"] >= means["random"] - 0.05


def test_sixteen_in_flight_are_diverse() -> None:
    made = Proposer(
        SPACE, {"quality": "max", "flops": "min"}, make_sampler("evolution", 0)
    )
    searched(made, lambda arch: costs(arch) | {"quality": costs(arch)["params"]}, 16)
    flying = [proposal.arch for proposal in (made.ask() for _ in range(16)) if proposal]
    assert len({arch.id for arch in flying}) == 16
    flops = np.log([costs(arch)["flops"] for arch in flying])
    assert np.ptp(flops) > 0.5, "not sixteen steps about one network"
