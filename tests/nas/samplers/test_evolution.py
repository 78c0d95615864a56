from __future__ import annotations

import numpy as np
import pytest

from nas.problem import Outcome, Problem
from nas.samplers.gaussian_process import GaussianProcess
from nas.samplers.hypervolume import crowding, hypervolume_gains
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.samplers.surrogate import Lesson, Network, encode, guess
from nas.testing import OBJECTIVES, measure, run
from search_spaces import get_space

SPACE = get_space("resnest", depth1=[1, 2], depth2=[1, 2, 3], depth3=[1, 2, 3], depth4=[1])


def proposer(**options: int) -> Proposer:
    return Proposer(SPACE, OBJECTIVES, make_sampler("evolution", 0, options))


def best_quality(sampler: str) -> float:
    made = Proposer(SPACE, OBJECTIVES, make_sampler(sampler, 0))
    return max(measure(proposal.arch)["quality"] for proposal in run(made, 60))


def test_it_finds_better_networks_than_chance() -> None:
    assert best_quality("evolution") > 1.05 * best_quality("random")


def test_random_networks_are_weighed_where_mutations_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object) -> None:
        raise ValueError("no neighbour")

    monkeypatch.setattr(type(SPACE), "mutate", nowhere)
    qualities = [measure(proposal.arch)["quality"] for proposal in run(proposer(first=16), 60)]
    drawn = [measure(SPACE.sample(np.random.default_rng(seed)))["quality"] for seed in range(200)]
    assert np.mean(qualities[16:]) > 1.05 * np.mean(drawn)


def test_the_first_design_spans_the_range_of_flops() -> None:
    first = np.log([measure(proposal.arch)["flops"] for proposal in run(proposer(first=10), 10)])
    drawn = np.log([measure(SPACE.sample(np.random.default_rng(seed)))["flops"] for seed in range(100)])
    assert np.ptp(first) > np.ptp(drawn) * 0.9
    assert np.diff(np.sort(first)).max() < np.ptp(first) / 3


def test_later_ones_are_near_the_front() -> None:
    """Each differs from some network before it in few knobs."""
    params = [SPACE.params(proposal.arch) for proposal in run(proposer(first=8, surrogate=False), 20)]
    for later in params[8:]:
        before = params[: params.index(later)]
        assert min(sum(later.get(k) != other.get(k) for k in later | other) for other in before) <= 5


def test_a_stopped_trial_teaches_at_its_epoch() -> None:
    """Half of all stopped at half their quality: what is guessed is the quality at the end."""
    rng = np.random.default_rng(0)
    problem = Problem(SPACE, {"quality": "max"})
    lessons = []
    for number in range(60):
        arch, epoch = SPACE.sample(rng), 1 if number % 2 else 9
        metrics = {"quality": 1.0 if epoch == 9 else 0.5, "epoch": epoch}
        lessons.append(
            Lesson.of(Network(arch, problem), Outcome("complete" if epoch == 9 else "stopped", metrics))
        )
    guessed = guess(problem, lessons, [Network(SPACE.sample(rng), problem) for _ in range(20)], rng)
    assert np.mean([metrics["quality"] for metrics in guessed]) == pytest.approx(1.0, abs=0.1)


def test_crowding_is_infinite_at_the_ends_and_large_where_it_is_lonely() -> None:
    gaps = crowding(np.array([[0.0, 1.0], [0.1, 0.8], [0.2, 0.7], [1.0, 0.0]]))
    assert np.isinf(gaps[[0, 3]]).all()
    assert gaps[2] > gaps[1]


def test_gains_are_what_the_hypervolume_grows_by() -> None:
    seen = np.array([[-1.0, 0.0], [0.0, -1.0]])  # from 0 to 1 once scaled, the reference at 1.1
    gains = hypervolume_gains(np.array([[-1.0, -1.0], [0.0, 0.0], [-0.5, -0.5]]), seen, seen)
    assert gains == pytest.approx([1.0, 0.0, 0.25])


def test_the_process_learns_a_trend_and_what_is_beyond_it() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((120, 4))
    y = 3 * x[:, 0] ** 2 + np.sin(4 * x[:, 2]) + rng.normal(size=120) * 0.02
    process = GaussianProcess.fit(x[:100], y[:100], trend=1)
    drawn = np.array([process.sample(x[100:], rng) for _ in range(50)])
    assert np.abs(drawn.mean(axis=0) - y[100:]).mean() < 0.1
    beyond = process.sample(np.array([[2.0, 0.5, 0.5, 0.5]]), rng)
    assert beyond[0] > y.max(), "the trend goes on"


def test_equal_values_are_learned_too() -> None:
    process = GaussianProcess.fit(np.random.default_rng(0).random((5, 3)), np.full(5, 2.0), trend=2)
    assert process.sample(np.full((2, 3), 0.5), np.random.default_rng(0)) == pytest.approx(
        [2.0, 2.0], abs=0.1
    )


def test_knobs_become_numbers() -> None:
    rows = encode([{"depth": 1, "kind": "a"}, {"depth": 3, "kind": "b"}, {"kind": "a"}])
    assert rows[:, 0].tolist() == [0.0, 1.0, 0.5]
    assert np.linalg.norm(rows[0, 1:] - rows[1, 1:]) == pytest.approx(1.0)
