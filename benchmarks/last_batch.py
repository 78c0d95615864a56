"""Does a rest of a few images harm a training? Digits, so many whole batches and 0 to 16 images more.

    python benchmarks/last_batch.py [--seeds 8] [--families resnest] [--batches 4 8 16] [--rests 1 2 4 8 16]

Every line is a family and a number of whole batches: accuracy on the same validation images without a rest, and
the difference that each rest makes, with standard errors over the seeds. The last lines count the differences
within one of their standard errors, and within two: by chance these are two thirds, and 95 %.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from math import inf, sqrt
from statistics import mean, stdev, variance

import numpy as np
import torch

from evaluators import Dataset, Recipe, Split, load
from evaluators.devices.seeding import build_seeded
from evaluators.training.engine import Training
from search_spaces import Arch, RegNetY, ResNeSt, get_space

RECIPE = Recipe()


NETWORKS: dict[str, Arch] = {
    "resnest": ResNeSt((1, 1, 1, 1), (16, 24, 32, 48), stem_width=16, radix=2),
    "regnety": RegNetY(depth=8, w0=16, wa=8.0, wm=2.0, group_width=8, stem_width=16),
    "fbnetv2": get_space(
        "fbnetv2", rows2=1, rows3=1, rows4=1, rows5=1, width_multiplier=0.5
    ).sample(np.random.default_rng(0)),
}


def accuracy(arch: Arch, dataset: Dataset, images: int, seed: int) -> float:
    train = Split(dataset.train.images[:images], dataset.train.labels[:images])
    network = build_seeded(arch, dataset.task, seed, zero_gamma=RECIPE.zero_gamma)
    training = Training(
        network, replace(dataset, train=train), RECIPE, torch.device("cpu"), seed
    )
    while len(training.history) < RECIPE.epochs:
        training.next_epoch()
    return float(training.history[-1]["accuracy"])


def compare(
    family: str, arch: Arch, batches: int, rests: list[int], seeds: int
) -> list[float]:
    """Differences to no rest, in standard errors of the difference."""
    dataset, whole = load("digits"), batches * RECIPE.batch_size
    plain = [accuracy(arch, dataset, whole, seed) for seed in range(seeds)]
    print(
        f"{family:8} {batches:3} x {RECIPE.batch_size}: {mean(plain):.4f} +-{stdev(plain) / sqrt(seeds):.4f}",
        end="",
    )
    distances = []
    for rest in rests:
        found = [accuracy(arch, dataset, whole + rest, seed) for seed in range(seeds)]
        difference = mean(found) - mean(plain)
        error = sqrt((variance(found) + variance(plain)) / seeds)
        distances.append(difference / error if error else difference * inf)
        print(f"  +{rest}: {difference:+.4f} +-{error:.4f}", end="", flush=True)
    print()
    return distances


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--families", nargs="+", choices=NETWORKS, default=[*NETWORKS])
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--rests", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    given = parser.parse_args()
    torch.set_num_threads(1)
    distances = [
        distance
        for family in given.families
        for batches in given.batches
        for distance in compare(
            family, NETWORKS[family], batches, given.rests, given.seeds
        )
    ]
    for bound in (1, 2):
        within = sum(abs(distance) <= bound for distance in distances)
        print(
            f"{within} of {len(distances)} differences within {bound} standard error(s)"
        )


if __name__ == "__main__":
    main()
