"""Is it worth training a network of the front again with another seed, before the search is over?

    python benchmarks/repeats.py [--seeds N] [--trials N] [--noise 0.45,1.0]

Searches of ``--trials`` trainings in the made-up world of samplers.py, by ``evolution``. A training's accuracy is
the network's own plus noise of its seed, ``--noise`` times the deviation between random networks (of the presets'
proxy it is 0.45: docs/evidence/proxy.md). Of the second half of the trainings a share (0, 1/5, 2/5) repeats the
network of the front that was trained least; its mean is what sampler and choice hear of it from then on. At the
end ``--finalists`` are chosen as ``finalists`` chooses them. What counts is the hypervolume of their own
accuracies.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import moocore
import numpy as np
import pandas as pd
from samplers import OBJECTIVES, REFERENCE, TASK, final_accuracy, flops

from nas.config.loading import load_config
from nas.finalists.choose import different, spread
from nas.problem import Problem
from nas.samplers.base import Outcome, Strategy
from nas.samplers.registry import make_sampler
from results import pareto_front
from search_spaces import Arch, ResNeSt

SHARES = 0.0, 0.2, 0.4
SPACE = load_config("quick").space.build()


@dataclass
class Search:
    """One search; ``trained`` has the accuracies of every network, a training each."""

    seed: int
    noise: float
    trained: dict[str, list[float]] = field(default_factory=dict)
    archs: dict[str, ResNeSt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng([self.seed, 7])
        self.problem = Problem(SPACE, OBJECTIVES, task=TASK, taken=self.archs)
        self.strategy = self.new_strategy()

    def new_strategy(self) -> Strategy:
        return make_sampler("evolution", self.seed, {})(self.problem)

    def train_new(self) -> None:
        draw = self.strategy.draw()
        assert draw is not None
        assert isinstance(draw.arch, ResNeSt)
        self.archs.setdefault(draw.arch.id, draw.arch)
        self.train(draw.arch)
        self.strategy.tell(draw, self.outcome(draw.arch))

    def train_again(self) -> None:
        """The network of the front that was trained least; then the sampler hears of all networks anew."""
        front = pareto_front(self.table(), OBJECTIVES)
        least = front.sort_values(["seeds", "accuracy"], ascending=[True, False])
        self.train(self.archs[least["arch_id"].iloc[0]])
        self.strategy = self.new_strategy()
        for arch in self.archs.values():
            self.strategy.tell(self.strategy.adopt(arch), self.outcome(arch))

    def train(self, arch: ResNeSt) -> None:
        told = final_accuracy(arch) + self.noise * self.rng.normal()
        self.trained.setdefault(arch.id, []).append(float(np.clip(told, 0, 1)))

    def outcome(self, arch: Arch) -> Outcome:
        accuracy = float(np.mean(self.trained[arch.id]))
        assert isinstance(arch, ResNeSt)
        return Outcome("complete", {"accuracy": accuracy, "flops": flops(arch)})

    def table(self) -> pd.DataFrame:
        """A row per network, with the standard error of its mean accuracy."""
        rows = [
            {
                "arch_id": key,
                "accuracy": np.mean(told),
                "accuracy_se": self.noise / np.sqrt(len(told)),
                "seeds": len(told),
                "flops": flops(self.archs[key]),
            }
            for key, told in self.trained.items()
        ]
        return pd.DataFrame(rows)

    def finalists(self, count: int) -> pd.DataFrame:
        likely = different(self.table(), OBJECTIVES, validation_images=1)
        return likely.iloc[spread(likely, OBJECTIVES, count)]


def run(seed: int, noise: float, share: float, asked: argparse.Namespace) -> float:
    """Hypervolume of the finalists' own accuracies."""
    search, half, owed = Search(seed, noise), asked.trials // 2, 0.0
    for trial in range(asked.trials):
        owed += share * (trial >= half)
        if owed >= 1:
            search.train_again()
            owed -= 1
        else:
            search.train_new()
    chosen = [search.archs[key] for key in search.finalists(asked.finalists)["arch_id"]]
    points = [[-final_accuracy(arch), np.log(flops(arch))] for arch in chosen]
    hypervolume = moocore.Hypervolume(ref=REFERENCE)
    return float(hypervolume(np.minimum(np.array(points), REFERENCE)))


def random_networks(count: int) -> Iterator[ResNeSt]:
    for arch in islice(SPACE.samples(np.random.default_rng(0), {}, TASK), count):
        assert isinstance(arch, ResNeSt)
        yield arch


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--finalists", type=int, default=8)
    parser.add_argument("--noise", default="0.45,1.0")
    asked = parser.parse_args()
    deviation = float(np.std([final_accuracy(arch) for arch in random_networks(400)]))
    for noise in map(float, asked.noise.split(",")):
        base = None
        for share in SHARES:
            reached = np.array(
                [
                    run(seed, noise * deviation, share, asked)
                    for seed in range(asked.seeds)
                ]
            )
            base = reached if base is None else base
            off = reached - base
            error = off.std(ddof=1) / np.sqrt(len(off))
            print(
                f"noise {noise:.2f}, repeats {share:3.0%} of the second half: hypervolume {reached.mean():.4f}, "
                f"to none {off.mean():+.4f} +- {error:.4f} (better in {(off > 0).sum()} of {len(off)})",
                flush=True,
            )


if __name__ == "__main__":
    main()
