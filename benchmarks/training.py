"""The training engine against a plain loop on the same network: images a second, accuracy, where time goes.

    python benchmarks/training.py FOLDER [--images 10000] [--epochs 3] [--seeds 3] [--precision float32]

FOLDER holds CIFAR-10 as train.parquet and test.parquet. The plain side is ``benchmarks/plain.py``. Both train
epoch by epoch in turn, in one process, so that other load meets both.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from statistics import mean, median, stdev
from time import perf_counter

import torch
from plain import TASK, Jpegs, authors_network, jpegs, plain_train, small_network
from torch.utils.data import DataLoader

from evaluators import Augmentation, Dataset, DataSettings, Metrics, Recipe, load
from evaluators.devices.seeding import build_seeded
from evaluators.training.engine import Training

STUDENT = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78}
"""Half width of a mean's 95 % interval in standard errors, by degrees of freedom."""


def engine_train(training: Training) -> Iterator[Metrics]:
    while len(training.history) < training.recipe.epochs:
        yield training.next_epoch()


def both_data_paths(
    dataset: Dataset, train: Jpegs, recipe: Recipe
) -> tuple[float, float]:
    """Seconds that each side takes to make an epoch's batches, without training on them."""
    started = perf_counter()
    for batch in torch.randperm(len(dataset.train.labels)).split(recipe.batch_size):
        images = recipe.augment.apply(
            dataset.train.take(batch, torch.device("cpu")).images,
            torch.default_generator,
        )
        dataset.normalise(images)
    turned = perf_counter()
    for _ in DataLoader(train, recipe.batch_size, shuffle=True):
        pass
    return turned - started, perf_counter() - turned


def with_interval(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.4f}"
    half = STUDENT.get(len(values) - 1, 2.0) * stdev(values) / sqrt(len(values))
    return f"{mean(values):.4f} +-{half:.4f}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--images",
        type=int,
        default=10_000,
        help="train and validation together (10000)",
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--network",
        type=int,
        default=5,
        choices=range(16),
        help="of plain.small_network (5)",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--precision",
        default="float32",
        choices=("float32", "bfloat16"),
        help="the engine's",
    )
    return parser.parse_args()


def main() -> None:
    told = arguments()
    torch.set_num_threads(told.threads)
    recipe = Recipe(
        epochs=told.epochs,
        batch_size=128,
        augment=Augmentation(shift=4, flip=True),
        precision=told.precision,
    )
    arch = small_network(told.network)
    train, validation = jpegs(told.folder, told.images)
    with tempfile.TemporaryDirectory() as cache:
        started = perf_counter()
        dataset = load(
            DataSettings("cifar10", str(told.folder), subset=told.images, cache=cache)
        )
        decoded = perf_counter() - started
        speeds: dict[str, list[float]] = {"engine": [], "plain": []}
        accuracies: dict[str, list[float]] = {"engine": [], "plain": []}
        for seed in range(told.seeds):
            training = Training(
                build_seeded(arch, TASK, seed),
                dataset,
                recipe,
                torch.device("cpu"),
                seed,
            )
            torch.manual_seed(seed)
            plain = plain_train(authors_network(arch), train, validation, recipe)
            for rows in zip(engine_train(training), plain, strict=True):
                for side, row in zip(speeds, rows, strict=True):
                    speeds[side].append(float(row["images_per_second"]))
            for side, row in zip(accuracies, rows, strict=True):
                accuracies[side].append(float(row["accuracy"]))
        data = both_data_paths(dataset, train, recipe)
    print(
        f"{arch.id}: {told.images} images, {told.epochs} epochs, {told.seeds} seeds, {told.threads} thread(s)"
    )
    for side, seconds in zip(speeds, data, strict=True):
        speed = median(speeds[side])
        share = seconds * speed / len(train)
        print(
            f"{side:8s} {speed:7.0f} images/s, {share:4.0%} of it making batches; "
            f"accuracy {with_interval(accuracies[side])}"
        )
    ratios = [ours / theirs for ours, theirs in zip(*speeds.values(), strict=True)]
    print(
        f"engine / plain: {median(ratios):.2f} times the images/s ({min(ratios):.2f} to {max(ratios):.2f})"
    )
    print(
        f"decoding once took {decoded:.1f} s, an epoch of decoding in the plain loop {data[1]:.1f} s"
    )


if __name__ == "__main__":
    main()
