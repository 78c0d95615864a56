"""What a process does of one seed of a retraining, whoever starts it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from evaluators import Dataset, Metrics, Split, load, load_test
from evaluators.data.progress import Progress, silent
from evaluators.devices.device import device_name
from evaluators.devices.seeding import build_seeded
from evaluators.durable import replace_durably
from evaluators.training.checkpoint import (
    DamagedCheckpointError,
    load_checkpoint,
    save_checkpoint,
)
from evaluators.training.engine import Training
from evaluators.training.scoring import score
from evaluators.training.shard import Shard
from nas.retraining.plan import Plan
from results import write_atomic
from search_spaces import Network

LAST = "last.pt"
BEFORE = "before.pt"
BEST = "best.pt"
START = "start.safetensors"
TOLD_OF_VALIDATION = (
    "accuracy",
    "accuracy_se",
    "accuracy_mirrored",
    "validation_loss",
    "validation_loss_se",
)


@dataclass(frozen=True)
class Job:
    """One seed of a plan, in the folder that all processes see."""

    plan: Plan
    seed: int
    folder: Path

    @property
    def owner(self) -> dict[str, Any]:
        return self.plan.owner(self.seed)

    def network(self, dataset: Dataset) -> Network:
        """As it is before the first epoch."""
        zero = self.plan.recipe.zero_gamma
        network = build_seeded(
            self.plan.network, dataset.task, self.seed, zero_gamma=zero
        )
        if (start := self.folder / START).is_file():
            network.load_state_dict(load_file(start))
        return network

    def state(self) -> dict[str, Any] | None:
        """The newest whole checkpoint; ``ValueError`` if it is another retraining's."""
        for name in (LAST, BEFORE):
            if (path := self.folder / name).is_file():
                try:
                    return load_checkpoint(path, self.owner, torch.device("cpu"))
                except DamagedCheckpointError:
                    continue
        return None

    @property
    def result(self) -> dict[str, Any] | None:
        """What the finished training came to, on the test images too; None before its end."""
        path = self.folder / "result.json"
        return dict(json.loads(path.read_text())) if path.is_file() else None

    @property
    def history(self) -> list[Metrics]:
        """The epochs up to the last checkpoint, as far as written down."""
        path = self.folder / "epochs.json"
        return list(json.loads(path.read_text())) if path.is_file() else []


def run_job(
    job: Job, shard: Shard, device: torch.device, report: Callable[[Metrics], None]
) -> None:
    """As ``train``; ``report`` is told of every epoch."""
    for metrics in train(job, shard, device):
        report(metrics)


def train(
    job: Job,
    shard: Shard,
    device: torch.device,
    memory_fraction: float | None = None,
) -> Iterator[Metrics]:
    """Train to the end from the newest checkpoint, yielding after every epoch. The first process writes.

    After the last epoch the best weights are tested and ``result.json`` written. Raises as ``Training`` does,
    and ``OSError`` where the disk refuses; the last good checkpoint then stays.
    """
    dataset = training_images(job.plan, device)
    recipe = job.plan.recipe
    training = Training(
        job.network(dataset),
        dataset,
        recipe,
        device,
        job.seed,
        shard=shard,
        memory_fraction=memory_fraction,
    )
    if state := job.state():
        training.load_state_dict(state)
    while len(training.history) < recipe.epochs:
        metrics = training.next_epoch()
        if shard.rank == 0:
            _keep(job, training)
        yield metrics
    if shard.rank == 0:
        _finish(job, dataset, device)


def training_images(
    plan: Plan,
    device: torch.device,
    progress: Progress = silent,
) -> Dataset:
    """Train and validation; with ``full``, the network trains on both."""
    dataset = load(plan.data, device, progress=progress)
    if not plan.full:
        return dataset
    both = (
        # images with images, labels with labels
        torch.cat(pair)
        for pair in zip(dataset.train, dataset.validation, strict=True)
    )
    return replace(dataset, train=Split(*both))


def _keep(job: Job, training: Training) -> None:
    if job.plan.full:  # what the network has trained on cannot validate it
        for name in TOLD_OF_VALIDATION:
            training.history[-1].pop(name, None)
    history = training.history
    if job.plan.full or float(history[-1]["accuracy"]) >= max(
        float(row["accuracy"]) for row in history
    ):
        # the weights that are evaluated, averaged ones if there are
        best = {"epoch": len(history), "weights": training.evaluated.state_dict()}
        save_checkpoint(job.folder / BEST, job.owner, best)
    # one whole checkpoint is there at every moment
    fresh = job.folder / "fresh.pt"
    save_checkpoint(fresh, job.owner, training.state_dict())
    if (last := job.folder / LAST).exists():
        last.replace(job.folder / BEFORE)
    replace_durably(fresh, last)
    write_atomic(job.folder / "epochs.json", json.dumps(history) + "\n")


def _finish(job: Job, dataset: Dataset, device: torch.device) -> None:
    network, epoch = best_network(job, dataset)
    # the only place where test images are looked at
    tested = score(network.to(device), dataset, load_test(job.plan.data), device)
    history = job.history
    found = {
        "seed": job.seed,
        **tested,
        "epochs": len(history),
        "best_epoch": epoch,
        "seconds": sum(float(row["seconds"]) for row in history),
        "init": _init(job),
        "device": device_name(device),
    }
    if not job.plan.full:
        found["validation_accuracy"] = history[epoch - 1]["accuracy"]
    write_atomic(job.folder / "result.json", json.dumps(found, indent=2) + "\n")


def best_network(job: Job, dataset: Dataset) -> tuple[Network, int]:
    """The weights of the best epoch so far, and which that is; ``ValueError`` if they are damaged."""
    best = load_checkpoint(job.folder / BEST, job.owner, torch.device("cpu"))
    weights: dict[str, Tensor] = best["weights"]
    network = job.network(dataset)
    network.load_state_dict(weights)
    return network, int(best["epoch"])


def _init(job: Job) -> dict[str, Any] | None:
    path = job.folder / "start.json"
    return dict(json.loads(path.read_text())) if path.is_file() else None
