"""How soon each sampler finds a good front, and what trials stopped early teach it.

    python benchmarks/samplers.py [--samplers a,b] [--told as_is,ignored,...] [--seeds N] [--trials N]

Accuracies and learning curves are made up (no network is trained): smooth in the knobs, growing with the cost,
noisy; large networks learn more slowly. FLOPs are exact. The space is that of the preset ``quick``.
Without ``--told`` every trial runs to its end, and what counts is how many trials it takes to the hypervolume
of 400 random ones. With it, multi-objective ASHA stops trials, what is stopped is told to the sampler in the
ways named, and what counts is the hypervolume of the complete trials after as many epochs as ``--trials`` need.
An option of a sampler follows a plus sign: ``evolution+surrogate=false``.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import moocore
import numpy as np
import yaml
from optuna.trial import TrialState

from nas.config.loading import load_config
from nas.samplers.base import Draw, Outcome, Sampler, Strategy
from nas.samplers.optuna import OptunaStrategy
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.stopper.asha import MultiObjectiveASHA
from search_spaces import Arch, ResNeSt, Task, complexity

TASK = Task(num_classes=10, resolution=8, channels=1, small_images=True)
OBJECTIVES = {"accuracy": "max", "flops": "min"}
REFERENCE = np.array([-0.6, np.log(3e7)])
EPOCHS = 9
RANDOM = 400


def noise(arch: Arch, what: str) -> float:
    """A standard normal number that belongs to the network."""
    digest = hashlib.sha256(f"{arch.id}{what}".encode()).digest()
    return float(np.random.default_rng(int.from_bytes(digest[:8], "big")).normal())


@cache
def final_accuracy(arch: ResNeSt) -> float:
    cost = complexity(arch, TASK)
    size = 0.75 * np.log(cost.flops / 1e6) + 0.25 * np.log(cost.params / 1e4)
    growth = np.diff(np.log2(arch.widths))
    shape = -0.30 * (growth.std() + 0.5 * abs(growth.mean() - 0.6))
    gate = {0: -0.5, 1: 0.0, 2: 0.45, 4: 0.15}[arch.radix]
    gate -= 0.12 * (arch.cardinality == 4) * (arch.widths[0] < 16)
    gate -= 0.3 * (arch.bottleneck_width == 64) * (arch.cardinality > 1)
    stem = (
        0.35 * arch.deep_stem
        + 0.2 * arch.avd
        - 0.15 * arch.avd_first * (arch.radix == 1)
    )
    quality = (
        0.8 * size + shape + gate + stem + 0.25 * (arch.depths[2] - arch.depths[0])
    )
    return float(
        0.985
        - 0.5 / (1 + np.exp(0.9 * quality + 0.6))
        + 0.006 * noise(arch, "accuracy")
    )


@cache
def pace_of(arch: ResNeSt) -> float:
    """Epochs after which most has been learned."""
    slowness = (
        1.2
        + 0.4 * np.log(complexity(arch, TASK).params / 1e4)
        + 0.3 * noise(arch, "speed")
    )
    return float(max(0.5, slowness))


@cache
def flops(arch: ResNeSt) -> int:
    return complexity(arch, TASK).flops


def accuracy(arch: ResNeSt, epoch: int) -> float:
    pace = pace_of(arch)
    share = (1 - np.exp(-epoch / pace)) / (1 - np.exp(-EPOCHS / pace))
    wobble = 0.01 * noise(arch, f"epoch {epoch}") * (epoch < EPOCHS)
    return float(0.3 + (final_accuracy(arch) - 0.3) * share + wobble)


@dataclass
class Told:
    """A strategy that hears of stopped trials in another way: what a sampler could be told instead."""

    strategy: Strategy
    how: str

    def draw(self) -> Draw | None:
        return self.strategy.draw()

    def adopt(self, arch: Arch) -> Draw:
        return self.strategy.adopt(arch)

    def tell(self, draw: Draw, outcome: Outcome) -> None:
        if outcome.status == "stopped" and self.how != "as_is":
            if self.how in ("pruned", "infeasible") and not isinstance(
                self.strategy, OptunaStrategy
            ):
                raise SystemExit(f"only Optuna's samplers can be told '{self.how}'")
            if self.how == "pruned":
                self.strategy._study.tell(draw.ticket, state=TrialState.PRUNED)
                return
            if self.how == "infeasible":
                draw.ticket.set_constraint("stopped", 1.0)
            outcome = (
                Outcome("failed")
                if self.how == "ignored"
                else replace(outcome, status="complete")
            )
        self.strategy.tell(draw, outcome)


def sampler(name: str, seed: int, how: str) -> Sampler:
    name, *options = name.split("+")
    made = make_sampler(
        name,
        seed,
        {k: yaml.safe_load(v) for k, _, v in (o.partition("=") for o in options)},
    )
    return lambda problem: Told(made(problem), how)


@dataclass
class Search:
    """``proposer`` asked for one trial after the other, ``in_flight`` at once, each an epoch further in turn."""

    proposer: Proposer
    in_flight: int
    stopping: bool

    def epochs(self) -> Iterator[dict[str, float] | None]:
        """After each epoch the metrics of the trial that is complete with it, if one is."""
        asha = MultiObjectiveASHA(OBJECTIVES, max_epochs=EPOCHS)
        running: list[tuple[int, ResNeSt, int]] = []
        while True:
            while len(running) < self.in_flight:
                proposal = self.proposer.ask()
                assert proposal is not None
                if proposal.duplicate_of is None:
                    assert isinstance(proposal.arch, ResNeSt)
                    running.append((proposal.trial, proposal.arch, 1))
            trial, arch, epoch = running.pop(0)
            metrics = {
                "accuracy": accuracy(arch, epoch),
                "flops": complexity(arch, TASK).flops,
                "epoch": epoch,
            }
            if epoch == EPOCHS:
                self.proposer.tell(trial, "complete", metrics)
                yield metrics
                continue
            if self.stopping and asha.report(trial, epoch, metrics) == "stop":
                self.proposer.tell(trial, "stopped", metrics)
            else:
                running.append((trial, arch, epoch + 1))
            yield None


def curve(
    name: str, seed: int, how: str, asked: argparse.Namespace
) -> tuple[np.ndarray, float]:
    """Hypervolume after each epoch, and the seconds that it took."""
    space = load_config("quick").space.build()
    proposer = Proposer(space, OBJECTIVES, sampler(name, seed, how), seed, task=TASK)
    search = Search(proposer, asked.in_flight, stopping=asked.told is not None)
    hypervolume = moocore.Hypervolume(ref=REFERENCE)
    points, reached, started = [REFERENCE], [0.0], time.perf_counter()
    for _, metrics in zip(range(asked.trials * EPOCHS), search.epochs(), strict=False):
        if metrics is not None:
            point = np.minimum(
                [-metrics["accuracy"], np.log(metrics["flops"])], REFERENCE
            )
            points = [*points, point]
            reached.append(hypervolume(np.array(points)))
        else:
            reached.append(reached[-1])
    return np.array(reached), time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--samplers",
        default="random,nsga2+population_size=20,tpe,evolution+surrogate=false,evolution",
    )
    parser.add_argument(
        "--told", help="as_is (as SplitSearch does), ignored, pruned, infeasible, final"
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--in-flight", type=int, default=4)
    asked = parser.parse_args()
    full = argparse.Namespace(**vars(asked) | {"told": None, "trials": RANDOM})
    goal = float(
        np.mean(
            [
                curve("random", 1000 + seed, "as_is", full)[0][-1]
                for seed in range(asked.seeds)
            ]
        )
    )
    print(
        f"hypervolume of {RANDOM} random networks: {goal:.4f} (mean of {asked.seeds})"
    )
    for name in asked.samplers.split(","):
        for how in (asked.told or "as_is").split(","):
            runs = [curve(name, seed, how, asked) for seed in range(asked.seeds)]
            report(f"{name} {how if asked.told else ''}", runs, goal, asked.trials)


def report(
    name: str, runs: list[tuple[np.ndarray, float]], goal: float, trials: int
) -> None:
    reached = np.array([line for line, _ in runs])
    when = [
        int((line >= goal).argmax()) if line[-1] >= goal else len(line)
        for line in reached
    ]
    means = ", ".join(
        f"{reached[:, share * len(reached[0]) // 4 - 1].mean():.4f}"
        for share in (1, 2, 4)
    )
    error = reached[:, -1].std() / np.sqrt(len(reached))
    print(
        f"{name:36s} there after {np.median(when) / EPOCHS:4.0f} trials' epochs ({min(when) / EPOCHS:.0f} to "
        f"{max(when) / EPOCHS:.0f}); a quarter, half, all the epochs: {means} +- {error:.4f}; "
        f"{1e3 * np.mean([seconds for _, seconds in runs]) / trials:.1f} ms per {EPOCHS} epochs",
        flush=True,
    )


if __name__ == "__main__":
    main()
