"""Different architectures inside a window of costs: how fast, drawn in three ways.

    python benchmarks/budgeted_sampling.py [--space NAME | --families] [--draws N]

"build" throws plain draws away after building each network and counting it (weights summed up, the rest
by formula, as pycls does), "cost" after ``complexity`` alone; "ours" is ``space.samples``. For the first
two, the time is that of one plain draw over the share inside. One core; the three alternate, the best counts.

``--families`` draws from the union of all three families at 400 M MACs +-2 %: CPU time, and what the draws are.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable
from itertools import islice

import numpy as np
import pandas as pd
import torch

from search_spaces import IMAGENET, SearchSpace, Task, build, complexity, get_space
from search_spaces.sampling.limits import CostLimits, Window

CIFAR = Task(num_classes=10, resolution=32, small_images=True)
WINDOWS: list[tuple[str, Task, CostLimits]] = [
    ("resnest", IMAGENET, {"macs": (3.9e9, 4.1e9)}),
    ("resnest", IMAGENET, {"macs": (3.92e9, 4.08e9), "params": (None, 15e6)}),
    ("resnest", IMAGENET, {"macs": (0.98e9, 1.02e9)}),
    ("resnest", CIFAR, {"macs": (392e6, 408e6)}),
    ("regnety", IMAGENET, {"macs": (392e6, 408e6)}),
]
FAMILIES = ["resnest", "regnety", "fbnetv2"]
AROUND_400M: CostLimits = {"macs": (392e6, 408e6)}


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def build_and_count(space: SearchSpace, task: Task, rng: np.random.Generator) -> None:
    for _ in range(5):
        arch = space.sample(rng)
        sum(parameter.numel() for parameter in build(arch, task).parameters())
        complexity(arch, task)


def cost_alone(
    space: SearchSpace, task: Task, window: Window, rng: np.random.Generator, draws: int
) -> int:
    costs = [complexity(space.sample(rng), task) for _ in range(draws)]
    return sum(
        not window.outside({name: getattr(cost, name) for name in window.ends})
        for cost in costs
    )


def compare(space: SearchSpace, task: Task, limits: CostLimits, draws: int) -> None:
    window, rng = Window.of(limits), np.random.default_rng(0)
    inside, plain, built, ours = 0, [], [], []
    for seed in range(3):
        built.append(seconds(lambda: build_and_count(space, task, rng)) / 5)
        start = time.perf_counter()
        inside += cost_alone(space, task, window, rng, 5000)
        plain.append((time.perf_counter() - start) / 5000)
        drawn = space.samples(np.random.default_rng(seed), limits, task)
        start = time.perf_counter()
        deque(islice(drawn, draws), maxlen=0)
        ours.append(time.perf_counter() - start)
    share = inside / 15_000
    needed = draws / share if inside else float("inf")
    print(
        f"{space.arch_type.space}{window} at {task.resolution}: {share:.2%} of plain draws inside\n"
        f"  {draws} different: build {min(built) * needed:,.0f} s, cost {min(plain) * needed:,.1f} s, "
        f"ours {min(ours):.2f} s"
    )


def of_families(draws: int) -> None:
    """Draws from the union, and those of each family alone for the same share, by their quartiles."""
    started = time.process_time()
    union = get_space(FAMILIES)
    archs = list(islice(union.samples(np.random.default_rng(0), AROUND_400M), draws))
    spent = time.process_time() - started
    table = pd.DataFrame(
        {
            "family": arch.space,
            "id": arch.id,
            "MACs (M)": complexity(arch).macs / 1e6,
            "parameters (M)": complexity(arch).params / 1e6,
            "activations (M)": complexity(arch).activations / 1e6,
        }
        for arch in archs
    )
    print(f"{table['id'].nunique()} different networks in {spent:.1f} s of CPU")
    families = table.drop(columns="id").groupby("family")
    print(families.size().rename("networks").to_string())
    print(
        families.quantile(np.array([0.25, 0.5, 0.75])).unstack().round(1).T.to_string()
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--space", help="only this space")
    parser.add_argument("--families", action="store_true", help="only their union")
    parser.add_argument("--draws", type=int, default=1000)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.families:
        of_families(asked.draws)
        return
    for name, task, limits in WINDOWS:
        if asked.space in (None, name):
            compare(get_space(name), task, limits, asked.draws)


if __name__ == "__main__":
    main()
