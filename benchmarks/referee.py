"""The referee of proxies: the same random networks, trained long by two seeds, and short by every candidate.

    python benchmarks/referee.py train CIFAR truth [--visits 90000] [--networks 24] [--seeds 2]
    python benchmarks/referee.py train CIFAR muon [--visits 18000]
    python benchmarks/referee.py judge [--visits 90000]
    python benchmarks/referee.py train CIFAR sgd --visits 18000 --preset cifar10-families --out FILE
    python benchmarks/referee.py families --out FILE

CIFAR is a folder with CIFAR-10 as train.parquet and test.parquet; the test images are never read. The networks
are drawn from the space of cifar10-small (or of ``--preset``), 5 to 25 million MACs. Every finished training is a
line of a file (benchmarks/referee/trainings.jsonl), appended at once: kill it at any moment, call it again, here
or on another machine that has the file, and it goes on. All networks have seed 0 before the first has seed 1.

``judge`` prints a row per candidate and number of visits, as ``splitsearch proxy-study`` does, with CPU seconds:
by accuracy, and by validation loss (``accuracy`` is then the loss, negated), then what each says together with
the number of parameters, and which knobs it likes. ``families`` prints what a candidate brings the networks of
each family that every candidate in the file has trained.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from referee_tables import LOSS, TRUTH, liked, size_gains, with_size

from evaluators import Dataset, DataSettings, Recipe, load
from evaluators.devices.seeding import build_seeded
from evaluators.fields import from_values
from evaluators.training.engine import Training
from nas import load_config
from results.statistics.proxies import AGREEMENTS, compare_rankings
from search_spaces import Arch, Task, complexity

TASK = Task(num_classes=10, resolution=32, channels=3, small_images=True)
MACS = 5e6, 25e6
DRAW = 2026
TRAININGS = Path(__file__).parent / "referee" / "trainings.jsonl"
VALIDATION = 5000
ONE_PASS: dict[str, Any] = {
    "schedule": "one_cycle",
    "warmup_epochs": 0.0,
    "augment": {"shift": 4, "flip": True},
    "precision": "bfloat16",
}
"""Every image once, until there are more visits than images."""
LONG = ONE_PASS | {"epochs": 5, "batch_size": 128, "rung_images": 500}
SHORT = ONE_PASS | {"epochs": 4, "batch_size": 64, "rung_images": 100}
CANDIDATES: dict[str, dict[str, Any]] = {
    "truth": LONG | {"optimizer": "muon"},
    "truth by sgd": LONG,
    "muon": SHORT | {"optimizer": "muon"},
    "muon, batches of 32": SHORT | {"optimizer": "muon", "batch_size": 32},
    "muon, batches of 32, twice the rate": SHORT
    | {"optimizer": "muon", "batch_size": 32, "lr": 0.8},
    "muon, batches of 128": SHORT | {"optimizer": "muon", "batch_size": 128},
    "muon, half the rate": SHORT | {"optimizer": "muon", "lr": 0.2},
    "muon, twice the rate": SHORT | {"optimizer": "muon", "lr": 0.8},
    "muon, averaged weights": SHORT | {"optimizer": "muon", "ema": 0.95},
    "muon, no smoothing": SHORT | {"optimizer": "muon", "label_smoothing": 0.0},
    "sgd": SHORT,
    "preset": {
        "epochs": 6,
        "batch_size": 64,
        "augment": {"shift": 4, "flip": True},
        "precision": "bfloat16",
        "rung_images": 100,
    },
}
"""``preset`` is the proxy that cifar10-small had: the same few images in every epoch, SGD, a cosine."""


def networks(count: int, preset: str) -> list[Arch]:
    """The first of the referee's random networks, always the same."""
    space = load_config(preset).space.build()
    drawn = space.samples(np.random.default_rng(DRAW), {"macs": MACS}, TASK)
    return list(islice(drawn, count))


def settings_of(
    candidate: str, visits: int, folder: Path
) -> tuple[DataSettings, Recipe]:
    """The images and the recipe of a training of so many image visits."""
    recipe = dict(CANDIDATES[candidate])
    per_epoch = visits // recipe["epochs"]
    data = {"name": "cifar10", "root": str(folder.resolve()), "validation": 0.1}
    if candidate == "preset":
        images = per_epoch + VALIDATION
        data |= {"subset": images, "validation": VALIDATION / images}
    else:
        recipe["images_per_epoch"] = per_epoch
    return from_values(DataSettings, data), from_values(Recipe, recipe)


def finished(path: Path) -> list[dict[str, Any]]:
    """The trainings in the file; a last line that a kill cut short counts for nothing."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines() if line.strip()]


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a line in one write, on a line of its own even after one that was cut short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            os.ftruncate(handle, os.pread(handle, size, 0).rfind(b"\n") + 1)
        os.write(handle, (json.dumps(row) + "\n").encode())
        os.fsync(handle)
    finally:
        os.close(handle)


def trained(
    arch: Arch, seed: int, dataset: Dataset, recipe: Recipe
) -> tuple[list[dict[str, Any]], float]:
    """The metrics of every epoch, and the CPU seconds they took."""
    started = time.process_time()
    model = build_seeded(arch, dataset.task, seed, zero_gamma=recipe.zero_gamma)
    training = Training(model, dataset, recipe, torch.device("cpu"), seed)
    while len(training.history) < recipe.epochs:
        training.next_epoch()
    return training.history, time.process_time() - started


def missing(
    candidate: str, asked: argparse.Namespace, rows: list[dict[str, Any]]
) -> Iterator[tuple[int, Arch]]:
    """Seed and network of the trainings that the file has not yet."""
    done = {
        (row["arch_id"], row["seed"])
        for row in rows
        if (row["candidate"], row["visits"]) == (candidate, asked.visits)
    }
    for seed, arch in product(
        range(asked.seeds), networks(asked.networks, asked.preset)
    ):
        if (arch.id, seed) not in done:
            yield seed, arch


def train(asked: argparse.Namespace) -> None:
    data, recipe = settings_of(asked.candidate, asked.visits, asked.folder)
    rows = finished(asked.out)
    same = [row for row in rows if row["candidate"] == asked.candidate]
    plain = json.loads(json.dumps(asdict(recipe)))
    for row in same:
        if row["visits"] == asked.visits and row["recipe"] != plain:
            raise SystemExit(
                f"{asked.out}: {asked.candidate} has another recipe there; give the new one a name of its own"
            )
    dataset = load(data)
    for seed, arch in missing(asked.candidate, asked, rows):
        epochs, seconds = trained(arch, seed, dataset, recipe)
        append(
            asked.out,
            {
                "candidate": asked.candidate,
                "arch_id": arch.id,
                "seed": seed,
                "visits": asked.visits,
                "images": len(dataset.train.labels),
                "validation_images": len(dataset.validation.labels),
                "macs": complexity(arch, TASK).macs,
                "params": complexity(arch, TASK).params,
                "cpu_seconds": round(seconds, 2),
                "machine": f"{platform.machine()}, torch {torch.__version__}",
                "epochs": epochs,
                "recipe": plain,
                "arch": arch.to_dict(),
            },
        )
        print(
            f"{asked.candidate} seed {seed} {arch.id}: {epochs[-1]['accuracy']:.4f} in {seconds:.0f} s",
            flush=True,
        )


def judge(asked: argparse.Namespace) -> None:
    trainings = pd.DataFrame(judged(asked))
    table = compare_rankings(trainings, TRUTH)
    print(table.round(3).to_string(index=False))
    print(
        "\nwith the logarithm of the parameters, one deviation of each counting alike:"
    )
    agreements = compare_rankings(with_size(trainings), TRUTH)[["proxy", *AGREEMENTS]]
    print(agreements.round(3).to_string(index=False))
    print(
        "\nwhat twice the parameters are worth beyond what it shows, in its accuracy:"
    )
    print(size_gains(trainings).round(4).to_string(index=False))
    print("\nwhat each training likes, tau of its accuracies with knobs and costs:")
    print(liked(finished(asked.out)).round(2).to_string())


def judged(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every training as a proxy by accuracy and as one by loss; the longest of the truth by accuracy."""
    for row in finished(asked.out):
        last = row["epochs"][-1]
        name = f"{row['candidate']} {row['visits']}"
        read = {name: last["accuracy"], name + LOSS: -last["validation_loss"]}
        if (row["candidate"], row["visits"]) == (TRUTH, asked.visits):
            read = {TRUTH: last["accuracy"]}
        known = {name: row[name] for name in ("arch_id", "seed", "macs")}
        known |= {"seconds": row["cpu_seconds"], "size": math.log(row["params"])}
        yield from ({**known, "proxy": of, "accuracy": read[of]} for of in read)


def families(asked: argparse.Namespace) -> None:
    """Accuracy after the last epoch and CPU seconds, of networks that all candidates have trained."""
    rows = pd.DataFrame(finished(asked.out))
    rows["family"] = [arch["space"] for arch in rows["arch"]]
    rows["accuracy"] = [epochs[-1]["accuracy"] for epochs in rows["epochs"]]
    candidates = rows["candidate"].nunique()
    everywhere = rows.groupby("arch_id")["candidate"].transform("nunique") == candidates
    grouped = rows[everywhere].groupby(["family", "candidate"])
    table = grouped.agg(
        networks=("arch_id", "nunique"),
        accuracy=("accuracy", "mean"),
        cpu_seconds=("cpu_seconds", "mean"),
    )
    print(table.round(3).to_string())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("train")
    training.add_argument("folder", type=Path)
    training.add_argument("candidate", choices=CANDIDATES)
    training.add_argument("--preset", default="cifar10-small")
    training.add_argument("--networks", type=int, default=24)
    training.add_argument("--seeds", type=int, default=2)
    training.set_defaults(run=train)
    judging = commands.add_parser("judge")
    judging.set_defaults(run=judge)
    comparing = commands.add_parser("families")
    comparing.set_defaults(run=families)
    for each in (training, judging):
        each.add_argument("--visits", type=int, default=90_000)
    for each in (training, judging, comparing):
        each.add_argument("--out", type=Path, default=TRAININGS)
    asked = parser.parse_args()
    asked.run(asked)


if __name__ == "__main__":
    main()
