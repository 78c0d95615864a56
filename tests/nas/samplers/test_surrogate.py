"""The surrogate against scikit-learn's Gaussian process, and what it makes of observations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from nas.problem import Problem
from nas.samplers.base import Outcome
from nas.samplers.encoding import Encoder
from nas.samplers.gaussian_process import JITTER, GaussianProcess, Kernel, _loss
from nas.samplers.surrogate import Candidate, Observation, Surrogate
from nas.samplers.warp import Warp
from results.limits import Limit
from search_spaces import get_space

SPACE = get_space(
    "resnest", depth1=[1, 2], depth2=[1, 2, 3], depth3=[1, 2, 3], depth4=[1]
)
RNG = np.random.default_rng


def wave(rng: np.random.Generator, points: int) -> tuple[Any, Any]:
    x = rng.random((points, 5))
    return x, np.sin(3 * x[:, 0]) + x[:, 1] + 0.1 * rng.normal(size=points)


class TestProcess:
    kernel = Kernel(np.array([0, 1, 2, 2, 3]))
    theta = np.array([-0.3, 0.2, 0.5, 1.0, -2.0])

    def test_it_predicts_what_scikit_learn_does(self) -> None:
        (x, y), at = wave(RNG(0), 40), RNG(1).random((7, 5))
        noises = RNG(2).random(40) + 0.5
        process = GaussianProcess.at(self.kernel, x, y, noises, self.theta)
        scale = process.scale**2
        kernel = ConstantKernel(scale) * (
            Matern(np.exp(self.theta[[0, 1, 2, 2, 3]]), nu=2.5)
        )
        variances = scale * (np.exp(self.theta[-1]) * noises + JITTER)
        judge = GaussianProcessRegressor(kernel, alpha=variances, optimizer=None).fit(
            x, y - y.mean()
        )
        mean, deviation = judge.predict(at, return_std=True)
        found = process.predict(at)
        assert found[0] - y.mean() == pytest.approx(mean, abs=1e-9)
        assert found[1] == pytest.approx(deviation, abs=1e-9)

    # without a prior, the length scale of an input that does not matter goes to its bound
    @pytest.mark.filterwarnings("ignore:The optimal value found")
    def test_it_finds_hyperparameters_as_likely_as_scikit_learn_does(self) -> None:
        x, y = wave(RNG(0), 60)
        process = GaussianProcess.fit(self.kernel, x, y)
        kernel = ConstantKernel(1.0) * Matern([1.0] * 5, nu=2.5)
        judge = GaussianProcessRegressor(kernel + WhiteKernel(0.1), random_state=0).fit(
            x, y - y.mean()
        )
        (unseen, true), best = wave(RNG(3), 200), judge.predict
        missed = np.abs(process.predict(unseen)[0] - true).mean()
        assert missed < 1.1 * np.abs(best(unseen) + y.mean() - true).mean()

    def test_the_gradient_is_that_of_the_loss(self) -> None:
        x, y = wave(RNG(0), 30)
        noises = RNG(2).random(30) + 0.5

        def parts(theta: Any) -> tuple[float, Any]:
            return _loss(self.kernel, x, (y - y.mean()) / y.std(), noises, theta)

        wrong = check_grad(
            lambda theta: parts(theta)[0], lambda theta: parts(theta)[1], self.theta
        )
        assert wrong < 1e-3

    def test_a_knob_that_does_not_matter_gets_a_longer_scale(self) -> None:
        x, y = wave(RNG(0), 100)
        theta = GaussianProcess.fit(Kernel(np.arange(5)), x, y).theta
        assert theta[0] + 0.5 < min(theta[2:5])

    def test_what_is_believed_keeps_the_mean_and_lessens_doubt_there(self) -> None:
        (x, y), at = wave(RNG(0), 20), RNG(1).random((6, 5))
        process = GaussianProcess.at(self.kernel, x, y, np.ones(20), self.theta)
        mean, deviation = process.predict(at)
        again, less = process.believing(at[:2]).predict(at)
        assert again == pytest.approx(mean)
        assert (less[:2] < 0.8 * deviation[:2]).all()
        assert (less <= deviation + 1e-9).all()

    def test_equal_values_are_learned_too(self) -> None:
        x = RNG(0).random((5, 3))
        mean, _ = GaussianProcess.fit(Kernel(np.arange(3)), x, np.full(5, 2.0)).predict(
            x
        )
        assert mean == pytest.approx([2.0] * 5)


class TestWarp:
    @pytest.mark.parametrize("shift", [0.0, 1e6])
    def test_there_and_back(self, shift: float) -> None:
        values = shift - RNG(0).exponential(size=50)
        warp = Warp.of(values)
        assert warp.inverse(warp(values)) == pytest.approx(values)
        assert np.isfinite(warp.inverse(np.linspace(-9, 9, 50))).all()

    def test_a_long_tail_becomes_short(self) -> None:
        """Accuracies from chance level up span a factor of 3, and are no latencies for that."""
        values = 0.9 - 0.1 * RNG(0).exponential(size=200)
        warped = Warp.of(values)(values)
        assert abs(_skew(warped)) < 0.3 < 1.0 < abs(_skew(values))

    def test_latencies_are_never_negative(self) -> None:
        latencies = np.exp(RNG(0).normal(size=50))
        assert (Warp.of(latencies).inverse(np.array([-9.0, 9.0])) > 0).all()


def _skew(values: Any) -> float:
    return float((((values - values.mean()) / values.std()) ** 3).mean())


def observe(
    rng: np.random.Generator, problem: Problem, status: str, **metrics: float
) -> Observation:
    return Observation.of(
        Candidate(SPACE.sample(rng), problem), Outcome(status, metrics)
    )


def test_a_stopped_trial_teaches_at_its_epoch() -> None:
    """Half of all stopped at half their quality: what is guessed is the quality at the end."""
    rng, problem = RNG(0), Problem(SPACE, {"quality": "max"})
    ends = (
        {"status": "complete", "quality": 1.0, "epoch": 9},
        {"status": "stopped", "quality": 0.5, "epoch": 1},
    )
    observed = [observe(rng, problem, **ends[number % 2]) for number in range(60)]  # type: ignore[arg-type]
    networks = [Candidate(SPACE.sample(rng), problem) for _ in range(20)]
    believed = Surrogate(problem).posterior(observed).believed(networks)
    assert -believed.mean() == pytest.approx(1.0, abs=0.1)


def test_what_was_measured_noisily_counts_less() -> None:
    """The same network twice, once with a wide range of latencies: the belief is near the other."""
    problem, rng = Problem(SPACE, {"latency_ms": "min"}), RNG(0)
    others = [
        observe(
            rng, problem, "complete", latency_ms=10 + rng.normal(), latency_iqr_ms=0.2
        )
        for _ in range(20)
    ]
    network = Candidate(SPACE.sample(rng), problem)
    pair = [
        Observation.of(
            network,
            Outcome("complete", {"latency_ms": value, "latency_iqr_ms": spread}),
        )
        for value, spread in ((11.0, 0.1), (15.0, 9.0))
    ]
    assert Surrogate(problem).posterior([*others, *pair]).believed([network])[0, 0] < 12


def test_an_accuracy_of_many_images_outweighs_one_of_few() -> None:
    problem, rng = Problem(SPACE, {"accuracy": "max"}), RNG(0)
    others = [
        observe(
            rng,
            problem,
            "complete",
            accuracy=0.5 + 0.01 * rng.normal(),
            accuracy_se=0.01,
        )
        for _ in range(20)
    ]
    network = Candidate(SPACE.sample(rng), problem)

    def believed(error_of_the_low: float, error_of_the_high: float) -> float:
        told = {0.4: error_of_the_low, 0.6: error_of_the_high}
        pair = [
            Observation.of(
                network,
                Outcome("complete", {"accuracy": value, "accuracy_se": error}),
            )
            for value, error in told.items()
        ]
        posterior = Surrogate(problem).posterior([*others, *pair])
        return -float(posterior.believed([network])[0, 0])

    assert believed(0.005, 0.03) < believed(0.03, 0.005)


def test_luck_is_not_believed() -> None:
    """Of equal networks, measured with noise, of the luckiest less than half is believed."""
    problem, rng = Problem(SPACE, {"quality": "max"}), RNG(0)
    observed = [
        observe(rng, problem, "complete", quality=rng.normal()) for _ in range(40)
    ]
    posterior = Surrogate(problem).posterior(observed)
    believed = -posterior.believed([other.network for other in observed])[:, 0]
    luckiest = max(other.metrics["quality"] for other in observed)
    assert luckiest > 1.5
    assert believed.max() < 0.5 * luckiest


def test_limits_are_held_by_their_probability() -> None:
    problem = Problem(SPACE, {"flops": "min"}, limits={"accuracy": Limit(min=0.5)})
    rng = RNG(0)
    observed = [
        observe(rng, problem, "complete", accuracy=0.4 + 0.2 * rng.random())
        for _ in range(30)
    ]
    networks = [Candidate(SPACE.sample(rng), problem) for _ in range(10)]
    _, excess = Surrogate(problem).posterior(observed).sample(networks, [], 16, rng)
    assert excess.shape == (16, 10)
    assert 0.2 < (excess > 0).mean() < 0.8


class Facts:
    def __init__(self, **knobs: Any) -> None:
        self.knobs, self.costs = knobs, {"flops": 1.0}


def test_knobs_become_numbers() -> None:
    facts = [Facts(depth=1, kind="a"), Facts(depth=3, kind="b"), Facts(kind="a")]
    encoder = Encoder.of(facts, [1.0] * 3)
    rows = encoder.rows(facts, [1.0] * 3)[:, 2:]
    assert rows[:, 0].tolist() == [0.0, 1.0, 0.5]
    assert np.linalg.norm(rows[0, 1:] - rows[1, 1:]) == pytest.approx(1.0)
    assert encoder.names == ["flops", "epoch", "depth", "kind"]
    assert encoder.kernel.groups.tolist() == [0, 1, 2, 3, 3], (
        "one scale for all categories of a knob"
    )
