"""Is a full training that starts from the search's weights better, or sooner as good, than one from new weights?

    python benchmarks/inherited_weights.py [--data cifar10] [--root DIR] [--networks N] [--seeds N] [--epochs N]

Random networks of ``--space`` get a short training, as in a search (a quarter of the visits of a full one), and
then three full ones with the same seed: anew, from the short training's weights, and from those with half of the
epochs. All have a one-cycle schedule of their own. What counts is the difference of the last accuracies, network
by network, on the same validation images.
"""

from __future__ import annotations

import argparse
from itertools import islice
from time import process_time

import numpy as np
import torch
from torch import nn

from evaluators import Dataset, DataSettings, Recipe, load
from evaluators.devices.seeding import build_seeded
from evaluators.training.augment import Augmentation
from evaluators.training.engine import Training
from nas.config.loading import load_space
from search_spaces import Arch

CPU = torch.device("cpu")


def recipe(epochs: int) -> Recipe:
    return Recipe(
        epochs=epochs,
        batch_size=64,
        optimizer="muon",
        schedule="one_cycle",
        warmup_epochs=0,
        augment=Augmentation(shift=2),
    )


def trained(
    network: nn.Module, dataset: Dataset, epochs: int, seed: int
) -> tuple[nn.Module, float]:
    """The network after so many epochs, and its last accuracy."""
    training = Training(network, dataset, recipe(epochs), CPU, seed)
    for _ in range(epochs):
        training.next_epoch()
    return training.evaluated, float(training.history[-1]["accuracy"])


def compare(arch: Arch, dataset: Dataset, epochs: int, seed: int) -> list[float]:
    """Accuracy anew, and what starting from weights of a short training adds: as long, and half as long."""
    new = build_seeded(arch, dataset.task, seed)
    start, _ = trained(new, dataset, max(1, epochs // 4), seed)
    weights = {name: value.clone() for name, value in start.state_dict().items()}
    _, anew = trained(build_seeded(arch, dataset.task, seed), dataset, epochs, seed + 1)
    gains = []
    for length in (epochs, epochs // 2):
        inheriting = build_seeded(arch, dataset.task, seed)
        inheriting.load_state_dict(weights)
        gains.append(trained(inheriting, dataset, length, seed + 1)[1] - anew)
    return [anew, *gains]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", default="digits")
    parser.add_argument("--root", help="folder of the images")
    parser.add_argument("--subset", type=int, help="images, with those that validate")
    parser.add_argument("--space", default="quick", help="a preset's")
    parser.add_argument("--most", type=float, default=2e6, help="MACs of a network")
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=12)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    settings = DataSettings(
        asked.data, root=asked.root, subset=asked.subset, validation=0.25
    )
    dataset = load(settings)
    draws = load_space(asked.space).samples(
        np.random.default_rng(0), {"macs": asked.most}, dataset.task
    )
    rows = []
    for arch in islice(draws, asked.networks):
        for seed in range(0, 2 * asked.seeds, 2):
            rows.append(compare(arch, dataset, asked.epochs, seed))
            print(arch.id, seed, *(f"{value:+.4f}" for value in rows[-1]), flush=True)
    found = np.array(rows)
    # seeds of a network are not independent of each other: a row per network
    found = found.reshape(-1, asked.seeds, 3).mean(axis=1)
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / len(found) ** 0.5
    print(f"anew {mean[0]:.2%}; {process_time():.0f} s of CPU")
    for name, gain, off in zip(
        ("as many epochs", "half the epochs"), mean[1:], error[1:], strict=True
    ):
        print(f"inherited, {name}: {gain:+.2%} ± {off:.2%}")


if __name__ == "__main__":
    main()
