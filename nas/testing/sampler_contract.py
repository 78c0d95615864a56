"""What every sampler must do, as tests to inherit: give one fixture, get the tests.

::

    class TestMySampler(SamplerContract):
        @pytest.fixture
        def sampler(self) -> Sampler:
            return make_sampler("my_file:MySampler", seed=0)

Needs pytest.
"""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nas.samplers.base import Sampler
from nas.samplers.proposer import Proposal, Proposer
from search_spaces import Arch, SearchSpace, complexity, get_space

QUALITY_OBJECTIVES = {"quality": "max", "flops": "min"}
RANDOM_NETWORKS = 100
"""Of a space, to see what its networks cost."""
TINY: dict[str, Any] = {
    "depth1": 1, "depth2": 1, "depth3": 1, "depth4": 1, "width1": 64, "width2": 64, "width3": 128, "width4": 256,
    "bottleneck_width": 64, "stem_width": 16, "deep_stem": True, "avg_down": True, "avd": False,
}  # fmt: skip


def measure_quality(arch: Arch) -> dict[str, float]:
    """Costs, and in place of an accuracy the parameters per FLOP."""
    cost = complexity(arch)
    return {
        "flops": cost.flops,
        "macs": cost.macs,
        "params": cost.params,
        "quality": cost.params / cost.flops,
        "latency_ms": cost.activations / 1e6,
    }


class SamplerContract:
    """Tests of a sampler; a subclass overrides the fixture ``sampler``, and may override ``trials``.

    It may override ``space`` as well, by one of at least ten times as many networks as ``trials``: limits are set
    by what random networks of the space cost.
    """

    trials = 30

    @pytest.fixture
    def sampler(self) -> Sampler:
        raise NotImplementedError("a contract test gives the fixture 'sampler'")

    @pytest.fixture
    def space(self) -> SearchSpace:
        """Wide enough to choose in, with a knob that only some networks have."""
        return get_space(
            "resnest", depth1=[1, 2], depth2=[1, 2, 3], depth3=[1, 2, 3], depth4=[1]
        )

    def test_proposals_are_legal_and_differ(
        self, space: SearchSpace, sampler: Sampler
    ) -> None:
        made = Proposer(space, QUALITY_OBJECTIVES, sampler)
        archs = [proposal.arch for proposal in run_proposer(made, self.trials)]
        assert len({arch.id for arch in archs}) == self.trials
        for arch in archs:
            assert space.mutate(arch, np.random.default_rng(0)) != arch, (
                "mutate refuses what is not in the space"
            )

    def test_cheap_limits_hold(self, space: SearchSpace, sampler: Sampler) -> None:
        # of random networks two in five at least are inside
        low, high = usual(space, "macs", [0.25, 0.75])
        (most,) = usual(space, "params", [0.9])
        limits = {"macs": [low, high], "params": most}
        for proposal in run_proposer(
            Proposer(space, QUALITY_OBJECTIVES, sampler, limits=limits), self.trials
        ):
            cost = complexity(proposal.arch)
            assert low <= cost.macs <= high
            assert cost.params <= most

    def test_limits_measured_later_are_understood(
        self, space: SearchSpace, sampler: Sampler
    ) -> None:
        (latency,) = usual(space, "latency_ms", [0.5])
        made = Proposer(
            space, QUALITY_OBJECTIVES, sampler, limits={"latency_ms": latency}
        )
        inside = 0
        for _ in range(10 * self.trials):
            proposal = made.ask()
            assert proposal is not None
            if proposal.duplicate_of is None:
                metrics = measure_quality(proposal.arch)
                fits = metrics["latency_ms"] <= latency
                # what is outside is not trained: it has no quality
                known = metrics if fits else {"latency_ms": metrics["latency_ms"]}
                made.tell(proposal.trial, "complete" if fits else "infeasible", known)
                inside += fits
            if inside == self.trials // 2:
                return
        raise AssertionError(f"only {inside} networks inside a limit that half keep")

    def test_what_is_in_flight_differs(
        self, space: SearchSpace, sampler: Sampler
    ) -> None:
        made = Proposer(space, QUALITY_OBJECTIVES, sampler)
        run_proposer(made, self.trials)
        flying: list[str] = []
        # nothing is told meanwhile: all of it is under way at once
        while len(flying) < 16:
            proposal = made.ask()
            assert proposal is not None
            flying += [proposal.arch.id] if proposal.duplicate_of is None else []
        assert len(set(flying)) == 16

    def test_the_same_seed_proposes_the_same(
        self, space: SearchSpace, sampler: Sampler
    ) -> None:
        one, other = (
            run_proposer(Proposer(space, QUALITY_OBJECTIVES, sampler), self.trials)
            for _ in range(2)
        )
        assert one == other

    def test_small_spaces_are_exhausted(self, sampler: Sampler) -> None:
        nine = get_space("resnest", radix=[1, 2, 4], cardinality=[1, 2, 4], **TINY)
        made = Proposer(nine, QUALITY_OBJECTIVES, sampler)
        run_proposer(made, 9)
        # all nine are taken: what still comes can only repeat them
        rest = list(iter(made.ask, None))
        assert all(proposal.duplicate_of is not None for proposal in rest)

    def test_stopped_failed_and_infeasible_trials_do_not_end_it(
        self, space: SearchSpace, sampler: Sampler
    ) -> None:
        (latency,) = usual(space, "latency_ms", [0.5])
        (flops,) = usual(space, "flops", [0.5])
        made = Proposer(
            space, QUALITY_OBJECTIVES, sampler, limits={"latency_ms": latency}
        )
        outcomes: Sequence[tuple[str, dict[str, Any]]] = [
            ("stopped", {"quality": 0.1, "epoch": 1, "flops": flops}),
            ("failed", {}),
            ("infeasible", {"latency_ms": 1.2 * latency, "flops": flops}),
        ]
        for number in range(self.trials):
            proposal = made.ask()
            assert proposal is not None
            if proposal.duplicate_of is None:
                status, metrics = (
                    outcomes[number % 4]
                    if number % 4 < 3
                    else ("complete", measure_quality(proposal.arch))
                )
                made.tell(proposal.trial, status, metrics)

    def test_it_goes_on_after_a_restart(
        self, space: SearchSpace, sampler: Sampler
    ) -> None:
        """What was finished is not proposed again, what was under way is still under way."""
        first = Proposer(space, QUALITY_OBJECTIVES, sampler)
        done = run_proposer(first, self.trials)
        flying = [proposal for proposal in (first.ask() for _ in range(20)) if proposal]
        again = Proposer(space, QUALITY_OBJECTIVES, sampler)
        for proposal in [*done, *flying]:
            again.replay(proposal.trial, proposal.arch, proposal.duplicate_of)
            if proposal in done:
                again.tell(proposal.trial, "complete", measure_quality(proposal.arch))
        new = run_proposer(again, 5)
        old = {proposal.arch.id for proposal in [*done, *flying]}
        assert not old & {proposal.arch.id for proposal in new}
        # numbers go on as well: a log has one trial of each
        assert min(proposal.trial for proposal in new) > max(
            proposal.trial for proposal in [*done, *flying]
        )
        for proposal in flying:
            if proposal.duplicate_of is None:
                again.tell(proposal.trial, "complete", measure_quality(proposal.arch))


def usual(space: SearchSpace, metric: str, shares: Sequence[float]) -> list[float]:
    """What these shares of random networks have at most."""
    rng = np.random.default_rng(0)
    drawn = [measure_quality(space.sample(rng)) for _ in range(RANDOM_NETWORKS)]
    return [float(it) for it in np.quantile([each[metric] for each in drawn], shares)]


def run_proposer(made: Proposer, count: int) -> list[Proposal]:
    """``count`` new networks, asked for and measured one by one."""
    done: list[Proposal] = []
    while len(done) < count:
        proposal = made.ask()
        assert proposal is not None, f"only {len(done)} networks of {count}"
        if proposal.duplicate_of is None:
            made.tell(proposal.trial, "complete", measure_quality(proposal.arch))
            done.append(proposal)
    return done
