"""What a doubling of the parameters is worth, as the sampler and the choice of finalists see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nas
from evaluators import Metrics
from nas.config.loading import load_config
from nas.finalists.choose import choose_finalists
from nas.prepare import prepare
from nas.problem import Problem
from nas.samplers.base import Draw, Outcome
from nas.size_gain import SizeGain, _Corrected, corrected
from search_spaces import Arch, Task, complexity, get_space

TASK = Task(num_classes=10, resolution=32, channels=3, small_images=True)


class Alike:
    """All networks are equally accurate."""

    metrics = ("accuracy",)

    def __init__(self, task: Task) -> None: ...

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        yield {"epoch": 1, "accuracy": 0.5}


class Listening:
    """A strategy that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Outcome] = []

    def draw(self) -> Draw | None:
        return None

    def adopt(self, arch: Arch) -> Draw:
        return Draw(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        self.told.append(outcome)


def test_a_sampler_hears_more_of_a_larger_network() -> None:
    space = get_space("resnest")
    listening = Listening()
    problem = Problem(space, {"accuracy": "max"}, task=TASK)
    strategy = SizeGain(lambda problem: listening, 0.01)(problem)
    rng = np.random.default_rng(0)
    archs = [next(space.samples(rng, {}, TASK)) for _ in range(5)]
    for arch in archs:
        strategy.tell(strategy.adopt(arch), Outcome("complete", {"accuracy": 0.5}))
    strategy.tell(strategy.adopt(archs[0]), Outcome("failed"))
    *heard, failed = listening.told
    params = np.array([complexity(arch, TASK).params for arch in archs])
    expected = 0.5 + 0.01 * np.log2(params / 100_000)
    assert [each.metrics["accuracy"] for each in heard] == pytest.approx(expected)
    assert failed == Outcome("failed")


def test_of_equal_accuracies_the_larger_networks_become_finalists(
    tmp_path: Path,
) -> None:
    config = load_config(
        "quick",
        [
            "objectives={accuracy: max}",
            "reference_point=null",
            "trials=16",
            "stopper=none",
            f"evaluators=[complexity, '{__name__}:Alike']",
            "size_gain=0.5",
        ],
    )
    run = nas.search(config, tmp_path / "run", serial=True)
    assert isinstance(prepare(config).proposer._strategy, _Corrected)
    assert (run.complete["accuracy"] == 0.5).all(), "what was measured stays"
    chosen = choose_finalists(run, 3, None, 1000, config.size_gain)
    largest = run.complete.nlargest(3, "params")
    assert [each.trial for each in chosen] == largest["trial"].tolist()
    assert {each.known["proxy_accuracy"] for each in chosen} == {0.5}


def test_without_a_gain_nothing_changes() -> None:
    trials = pd.DataFrame({"accuracy": [0.5, 0.6], "params": [100_000, 200_000]})
    assert corrected(trials, 0) is trials
    assert corrected(trials, 0.01)["accuracy"].tolist() == pytest.approx([0.5, 0.61])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["objectives={macs: min}", "reference_point=null"], "accuracy is no objective to"),
        (["limits={accuracy: {min: 0.5}}"], "limits.accuracy"),
        (["evaluators=[training]", "objectives={accuracy: max}", "reference_point=null"], "size_gain needs"),
        (["objectives={accuracy: min}", "reference_point=null"], "no objective to maximize"),
        (["size_gain=-0.1"], "size_gain"),
    ],
)  # fmt: skip
def test_where_it_has_no_meaning_it_is_refused(
    settings: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        load_config("quick", ["size_gain=0.01", *settings])
    assert "\n" not in str(refused.value)
