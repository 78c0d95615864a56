"""What a search would cost, and what is odd about it, found out in seconds and without writing a run folder.

Networks are drawn as a search draws them. The smallest and the largest of them are measured, and trained for a
batch as a trial trains; every other network lies in between, so the cost is told as a range.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from evaluators import Dataset, Evaluator, Preprocess, load, load_test
from evaluators.data.progress import Progress
from evaluators.devices.device import resolve_device, synchronize
from evaluators.devices.lock import Shared
from evaluators.devices.seeding import build_seeded
from evaluators.latency.cores import allowed_cores
from evaluators.latency.result import UnstableLatencyError
from evaluators.training.fidelity import Fidelity
from evaluators.training.memory import peak_memory, reset_peak
from evaluators.training.train_step import TrainStep
from nas.config.schema import SearchConfig
from nas.engines.engine import make_engine
from nas.exporting.programs import to_program
from nas.prepare import device_of, elsewhere, gpus_per_trial, prepare
from nas.studies.finalists_cost import FinalistsCost, finalists_cost
from search_spaces import Arch, Cost, Task, complexity
from search_spaces.sampling.limits import LIMITED

DRAWN = 200
BYTES_A_STATE = 4 * 4
"""Weights, gradients, momentum and the averaged weights, in float32: what a trial's checkpoint may hold."""
BYTES_A_TRIAL = 20_000
"""Of the log and the tables."""
NOISY_IMAGES = 500
LOPSIDED = 10


@dataclass(frozen=True)
class Tried:
    """One network: its exact cost, a trained batch (after one to warm up), and the other evaluators.

    ``memory_mb`` (10^6 bytes) is the most that the batch took of a GPU's memory; on a CPU the most that this
    process has had, torch and images included, as a trial's would. ``unmeasured`` says why a latency is missing.
    """

    arch: Arch
    cost: Cost
    batch_seconds: float
    other_seconds: float
    memory_mb: float
    unmeasured: str | None = None

    def trial_seconds(self, batches: int, epochs: int) -> float:
        return epochs * batches * self.batch_seconds + self.other_seconds


@dataclass(frozen=True)
class DryRun:
    """``hours`` from all trials being the smallest network to all the largest; ``odd`` is worth a look.

    ``finalists`` is what the settings go on to after the search.
    """

    smallest: Tried
    largest: Tried
    networks: int
    at_once: int
    hours: tuple[float, float]
    disk_mb: float
    odd: list[str]
    finalists: FinalistsCost | None = None


def dry_run(
    config: SearchConfig, out: Path, progress: Progress = lambda what, done, total: None
) -> DryRun:
    """Try all parts of the search once. Decoded images are kept in the cache, nothing else is written.

    Raises:
        ValueError: as ``nas.search``; also for test images that ``retrain`` would refuse, or a network that
            ``export`` would.
    """
    prepared = prepare(config, progress)
    make_engine(config, out)  # it may not exist, or lack a package
    data = config.data.absolute()
    device = _device(config)
    dataset = load(data, device)
    load_test(data, progress)
    first, last = _extremes(config, prepared.task)
    # what cannot be exported should be known before it is trained
    to_program(build_seeded(first, prepared.task, config.seed))
    smallest, largest = (
        _tried(arch, config, dataset, prepared.evaluators, device)
        for arch in (first, last)
    )
    at_once = _at_once(config, device)
    batches = _batches(config, dataset)
    epochs = config.training.epochs
    # all trials being the smallest network, and all the largest
    shortest, longest = (
        config.trials * tried.trial_seconds(batches, epochs) / at_once / 3600
        for tried in (smallest, largest)
    )
    if config.stop.hours is not None:
        longest = min(longest, config.stop.hours)
    states = at_once * largest.cost.params * BYTES_A_STATE
    # checkpoints of what is under way, and what the log and the tables keep
    disk = (states + config.trials * BYTES_A_TRIAL) / 1e6
    per_image = _seconds_an_image(config, smallest, largest)
    in_full = finalists_cost(config, per_image, at_once)
    odd = [
        *_odd_latency(smallest, largest),
        *_odd_images(dataset),
        *_odd_memory(largest, at_once, device),
        *_odd_disk(out, disk),
        *_odd_budget(config, shortest),
        *_odd_finalists(config, in_full),
    ]
    return DryRun(
        smallest,
        largest,
        config.trials,
        at_once,
        (min(shortest, longest), longest),
        disk,
        odd,
        in_full,
    )


def _seconds_an_image(
    config: SearchConfig, smallest: Tried, largest: Tried
) -> tuple[float, float]:
    size = config.training.batch_size
    return smallest.batch_seconds / size, largest.batch_seconds / size


def _batches(config: SearchConfig, dataset: Dataset) -> int:
    """Steps of an epoch, its validation among them."""
    if "training" not in config.evaluators:
        return 0
    # validation is a forward pass, about a third of a step
    fidelity = Fidelity.of(dataset, config.training)
    images = fidelity.visits + fidelity.at_rungs / 3
    return max(1, round(images / config.training.batch_size))


def _extremes(config: SearchConfig, task: Task) -> tuple[Arch, Arch]:
    """The cheapest and the dearest of some networks inside the limits, by MACs."""
    limits = {
        name: (limit.min, limit.max)
        for name, limit in config.limits.items()
        if name in LIMITED
    }
    draws = config.space.build().samples(
        np.random.default_rng(config.seed), limits, task
    )
    drawn = list(_as_many_as_there_are(islice(draws, DRAWN)))
    macs = [complexity(arch, task).macs for arch in drawn]
    smallest = drawn[int(np.argmin(macs))]
    largest = drawn[int(np.argmax(macs))]
    return smallest, largest


def _as_many_as_there_are(draws: Iterator[Arch]) -> Iterator[Arch]:
    """A small space ends with an error, which only counts before its first network."""
    yield next(draws)
    while True:
        try:
            yield next(draws)
        except (StopIteration, ValueError):
            return


def _tried(
    arch: Arch,
    config: SearchConfig,
    dataset: Dataset,
    evaluators: list[Evaluator],
    device: torch.device,
) -> Tried:
    started = perf_counter()
    unmeasured = _measured(arch, evaluators, config.seed)
    others = perf_counter() - started
    seconds, memory = _trained_batch(arch, config, dataset, device)
    cost = complexity(arch, dataset.task)
    return Tried(arch, cost, seconds, others, memory, unmeasured)


def _measured(arch: Arch, evaluators: list[Evaluator], seed: int) -> str | None:
    """Runs all that does not train; why latency could not be told, if it could not."""
    unmeasured = None
    for evaluator in evaluators:
        if "epoch" not in evaluator.metrics and "accuracy" not in evaluator.metrics:
            try:
                list(evaluator.evaluate(arch, seed=seed))
            except UnstableLatencyError as error:
                # of the machine now, not of the settings
                unmeasured = str(error)
    return unmeasured


def _trained_batch(
    arch: Arch, config: SearchConfig, dataset: Dataset, device: torch.device
) -> tuple[float, float]:
    """Seconds of the second batch, since the first one warms up; peak memory, as ``Tried.memory_mb``."""
    recipe = config.training
    network = build_seeded(arch, dataset.task, config.seed).to(device)
    optimizer = recipe.optimizer_of(network, torch.tensor(recipe.lr, device=device))
    step = TrainStep(network, optimizer, recipe, device, recipe.accumulate)
    count = min(recipe.batch_size, len(dataset.train.labels))
    batch = dataset.train.take(torch.arange(count), device)
    reset_peak(device)
    for _ in range(2):
        with Shared(device):
            started = perf_counter()
            step(dataset.normalise(batch.images), batch.labels)
            synchronize(device)
            seconds = perf_counter() - started
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return seconds, peak_memory(device).get("train_memory_mb", resident)


def _device(config: SearchConfig) -> torch.device:
    """Where trials train, which must be here, too; ``ValueError`` if it is not."""
    try:
        return resolve_device(device_of(config))
    except ValueError as error:
        if not elsewhere(config):
            raise
        raise ValueError(
            f"{error}: a dry run trains on this machine; try it on a node of the cluster"
        ) from error


def _at_once(config: SearchConfig, device: torch.device) -> int:
    """Trials that this machine runs side by side."""
    if config.engine == "serial":
        return 1
    by_cpu = int(allowed_cores() / config.resources.cpus)
    gpus = gpus_per_trial(config)
    by_gpu = (
        int(torch.cuda.device_count() / gpus)
        if gpus and device.type == "cuda"
        else by_cpu
    )
    return max(1, min(by_cpu, by_gpu, config.trials))


def _odd_latency(*tried: Tried) -> Iterator[str]:
    reasons = dict.fromkeys(each.unmeasured for each in tried if each.unmeasured)
    for reason in islice(reasons, 1):
        yield f"trials would fail as things are now: {reason}"


def _odd_images(dataset: Dataset) -> Iterator[str]:
    validation = len(dataset.validation.labels)
    if validation < NOISY_IMAGES:
        error = 0.5 / validation**0.5
        yield f"{validation} validation images: accuracy is known to {error:.1%} at best; more data, or repeats"
    counts = torch.bincount(
        dataset.train.labels.cpu(), minlength=dataset.task.num_classes
    )
    if counts.max() > LOPSIDED * counts.min():
        yield f"classes have {int(counts.min())} to {int(counts.max())} images: accuracy favours the large ones"
    try:
        Preprocess.of_dataset(dataset)
    except ValueError as error:
        yield f"retrain and export will refuse: {error}"
    if dataset.corrupt:
        yield f"{len(dataset.corrupt)} images cannot be read and are left out, the first {dataset.corrupt[0]}"


def _odd_memory(largest: Tried, at_once: int, device: torch.device) -> Iterator[str]:
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6
    needed = at_once * largest.memory_mb
    if device.type == "cpu" and needed > there:
        yield f"{at_once} trials at once may need {needed:,.0f} MB of memory, the machine has {there:,.0f} MB"


def _odd_disk(out: Path, needed_mb: float) -> Iterator[str]:
    there = next(
        folder
        for folder in (out.absolute(), *out.absolute().parents)
        if folder.exists()
    )
    free = shutil.disk_usage(there).free / 1e6
    if free < needed_mb:
        yield f"{there} has {free:,.0f} MB free, the search may need {needed_mb:,.0f} MB"
    if not os.access(there, os.W_OK):
        yield f"{there} cannot be written"


def _odd_budget(config: SearchConfig, shortest: float) -> Iterator[str]:
    hours = config.stop.hours
    if "training" not in config.evaluators:
        yield f"evaluators {', '.join(config.evaluators)}: what a training of your own takes is not counted"
    if hours is not None and shortest > hours:
        share = hours / shortest
        yield f"stop.hours {hours:g} is reached after {share:.0%} of the trials, even if all are the smallest"


def _odd_finalists(config: SearchConfig, cost: FinalistsCost | None) -> Iterator[str]:
    hours = config.finalists.hours if config.finalists else None
    if hours is not None and cost is not None and cost.shortest > hours:
        yield (
            f"finalists.hours {hours:g} is less than the shortest training in full takes alone, "
            f"about {cost.shortest:.2g}; it will be refused"
        )
