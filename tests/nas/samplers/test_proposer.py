from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.runs.networks import load_starts
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.testing import QUALITY_OBJECTIVES, TINY, measure_quality, run_proposer
from results.limits import Limit
from search_spaces import IMAGENET, complexity, get_space, reference

SPACE = get_space("resnest")
NINE = get_space("resnest", radix=[1, 2, 4], cardinality=[1, 2, 4], **TINY)


def proposer(sampler: str = "random", space: Any = SPACE, **options: Any) -> Proposer:
    return Proposer(space, QUALITY_OBJECTIVES, make_sampler(sampler, seed=0), **options)


def test_trials_are_numbered_from_zero() -> None:
    made = proposer()
    assert [
        proposal.trial for proposal in (made.ask(), made.ask(), made.ask()) if proposal
    ] == [0, 1, 2]


def test_directions_are_understood() -> None:
    """NSGA-II learns: minimising params and FLOPs, its later networks are smaller than its first."""
    sampler = make_sampler("nsga2", 0, {"population_size": 10})
    made = Proposer(SPACE, {"params": "min", "flops": "min"}, sampler)
    flops = []
    while len(flops) < 100:
        proposal = made.ask()
        assert proposal is not None
        if proposal.duplicate_of is None:
            cost = complexity(proposal.arch)
            made.tell(
                proposal.trial, "complete", {"params": cost.params, "flops": cost.flops}
            )
            flops.append(cost.flops)
    assert np.median(flops[-20:]) < 0.7 * np.median(flops[:20])


class TestDuplicates:
    def test_they_name_the_trial_that_measured_the_same_network(self) -> None:
        made, measured, duplicates = proposer("tpe", NINE), {}, 0
        while (proposal := made.ask()) is not None:
            if proposal.duplicate_of is None:
                measured[proposal.trial] = proposal.arch.id
                made.tell(proposal.trial, "complete", measure_quality(proposal.arch))
            else:
                duplicates += 1
                assert measured[proposal.duplicate_of] == proposal.arch.id
                assert proposal.trial not in measured
        assert len(set(measured.values())) == 9
        assert 0 < duplicates <= 3 * 10, "at most three for each new network"

    def test_what_was_not_measured_to_the_end_is_none(self) -> None:
        made = proposer("tpe", NINE)
        for _ in range(9):
            proposal = made.ask()
            assert proposal is not None
            made.tell(proposal.trial, "stopped", {"quality": 0.5, "epoch": 1})
        assert made.ask() is None

    def test_nothing_is_left_to_tell(self) -> None:
        made = proposer("tpe", NINE)
        run_proposer(made, 9)
        proposal = made.ask()
        assert proposal is not None
        with pytest.raises(KeyError):
            made.tell(proposal.trial, "failed", {})


class TestOutcomes:
    @pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
    def test_complete_needs_every_objective(self, value: Any) -> None:
        made = proposer()
        made.ask()
        metrics = (
            {"quality": 1.0} if value is None else {"quality": 1.0, "flops": value}
        )
        with pytest.raises(
            ValueError, match="trial 0 is complete without objective flops"
        ):
            made.tell(0, "complete", metrics)

    def test_a_status_is_one_of_four(self) -> None:
        made = proposer()
        made.ask()
        with pytest.raises(
            ValueError, match=r"status must be one of complete, stopped, .* got 'done'"
        ):
            made.tell(0, "done", {})


class TestLimits:
    def test_none_inside_is_said_with_the_nearest(self) -> None:
        with pytest.raises(
            ValueError, match=r"macs at most 1M; the nearest drawn has .* macs"
        ):
            proposer(space=NINE, limits={"macs": 1e6})

    @pytest.mark.parametrize(
        "limit", [[2, 1], [None, None], float("nan"), "5", {"high": 5}, [1, 2, 3], True]
    )
    def test_a_wrong_one_is_refused(self, limit: Any) -> None:
        with pytest.raises(ValueError, match="a limit"):
            Limit.of(limit)

    def test_spellings(self) -> None:
        assert (
            Limit.of(5) == Limit.of([None, 5]) == Limit.of({"max": 5}) == Limit(max=5)
        )
        assert Limit.of((1, 5)) == Limit(1, 5)

    def test_excess_is_a_share_of_the_end(self) -> None:
        assert [Limit(1, 4).excess(value) for value in (0.5, 1, 4, 6)] == [
            0.5,
            0,
            0,
            0.5,
        ]
        assert Limit(max=0).excess(2) == 2

    @pytest.mark.parametrize(
        ("sampler", "options"),
        [("nsga2", {"population_size": 10}), ("evolution", {"first": 10})],
    )
    def test_the_sampler_learns_those_measured_later(
        self, sampler: str, options: dict[str, Any]
    ) -> None:
        """Few networks are inside at first; those outside teach which are, though no objective was measured."""
        made = Proposer(
            SPACE,
            {"accuracy": "max"},
            make_sampler(sampler, 0, options),
            limits={"latency_ms": 13},
        )
        inside = []
        while len(inside) < 100:
            proposal = made.ask()
            assert proposal is not None
            if proposal.duplicate_of is None:
                latency = {"latency_ms": complexity(proposal.arch).activations / 1e6}
                inside.append(latency["latency_ms"] <= 13)
                status = "complete" if inside[-1] else "infeasible"
                made.tell(
                    proposal.trial,
                    status,
                    latency | ({"accuracy": 0.5} if inside[-1] else {}),
                )
        assert np.mean(inside[-30:]) > 2 * np.mean(inside[:10])


class TestReplay:
    def test_gaps_stay_and_numbers_go_on(self) -> None:
        made = proposer()
        archs = [SPACE.sample(np.random.default_rng(seed)) for seed in range(3)]
        for number, arch in zip((0, 2, 7), archs, strict=True):
            made.replay(number, arch)
        made.tell(2, "complete", measure_quality(archs[1]))
        made.replay(9, archs[1], duplicate_of=2)
        proposal = made.ask()
        assert proposal is not None
        assert proposal.trial == 10
        assert proposal.arch.id not in {arch.id for arch in archs}
        made.tell(7, "failed", {})

    @pytest.mark.parametrize("sampler", ["random", "evolution", "tpe"])
    def test_a_restart_does_not_repeat_the_beginning(self, sampler: str) -> None:
        done = run_proposer(proposer(sampler, NINE), 5)
        again = proposer(sampler, NINE)
        for proposal in done:
            again.replay(proposal.trial, proposal.arch)
            again.tell(proposal.trial, "complete", measure_quality(proposal.arch))
        assert len({p.arch.id for p in [*done, *run_proposer(again, 4)]}) == 9


class TestStartFrom:
    def test_they_come_first_and_once(self) -> None:
        starts = [
            reference("resnest50"),
            reference("resnest101"),
            reference("resnest50"),
        ]
        space = get_space("resnest", stem_width=[32, 64])
        made = proposer("nsga2", space, start_from=starts)
        asked = [made.ask() for _ in range(3)]
        assert [p.arch for p in asked if p][:2] == starts[:2]
        assert len({p.arch.id for p in asked if p}) == 3

    def load(self, *entries: str, space: Any = SPACE, **limits: Any) -> list[Any]:
        return load_starts(
            entries, space, {n: Limit.of(v) for n, v in limits.items()}, IMAGENET
        )

    def test_files_and_folders(self, tmp_path: Path) -> None:
        small, large = reference("resnest50_fast_1s1x64d"), reference("resnest269")
        (tmp_path / "one.json").write_text(json.dumps(small.to_dict()))
        front = {
            "networks": [
                {"accuracy": 0.9, "arch": arch.to_dict()} for arch in (small, large)
            ]
        }
        (tmp_path / "front.json").write_text(json.dumps(front))
        assert self.load("resnest50", str(tmp_path / "one.json")) == [
            reference("resnest50"),
            small,
        ]
        assert self.load(str(tmp_path)) == [small, large]
        assert self.load(str(tmp_path), macs=10e9) == [small], (
            "of a front, what is inside the limits"
        )

    @pytest.mark.parametrize(
        ("entry", "message"),
        [
            (
                "regnety_200mf",
                "start_from: regnety_200mf is of space regnety, the search is in resnest",
            ),
            (
                "resnest51",
                "start_from: no published network 'resnest51'; did you mean resnest.*, and no file",
            ),
            ("none.json", "start_from: none.json: cannot be read as JSON"),
            (
                "resnest269",
                "start_from: resnest269 is outside the limits: macs is .*, .*% beyond",
            ),
        ],
    )
    def test_a_wrong_entry_is_named(self, entry: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.load(entry, macs=10e9)

    def test_a_knob_that_the_space_lacks_is_named(self) -> None:
        with pytest.raises(
            ValueError, match="resnest50 is not in this space, which has no radix 2"
        ):
            self.load("resnest50", space=get_space("resnest", radix=[1, 4]))
