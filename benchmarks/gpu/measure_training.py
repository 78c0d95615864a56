"""How fast networks train: against a plain loop, several at once, whole proxies, to 94 %; ResNeSt-50's step."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from benchmarks.gpu.processes import call_in_process, wait_for
from benchmarks.gpu.setting import Figures, MissingError, Setting, needs
from evaluators import Augmentation, Dataset, Metrics, Recipe, load_test
from evaluators.devices.seeding import build_seeded
from evaluators.latency.timing import stopwatch
from evaluators.training.cuda_graph import Replayed
from evaluators.training.engine import Training
from evaluators.training.train_step import TrainStep
from search_spaces import IMAGENET, ResNeSt, reference

MOVED = Augmentation(shift=4, flip=True)
SMALL = ResNeSt((1, 1, 1, 1), (8, 16, 32, 64), radix=2, stem_width=8)
LARGE = ResNeSt((2, 2, 2, 2), (64, 128, 256, 512), radix=2, stem_width=32)
FASTEST = ResNeSt((1, 1, 1, 1), (64, 128, 256, 256), radix=1, stem_width=32)
"""The network that is to reach 94 %."""
SHARE_94 = 0.94
HALF_AN_HOUR = 1800


@dataclass
class Pixels(TorchDataset[tuple[Tensor, int]]):
    """Decoded images, prepared one by one as a plain loop does; ``augment`` crops and mirrors."""

    images: Tensor
    labels: Tensor
    augment: bool

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = (self.images[index].float() - 120) / 64
        if self.augment:
            top, left = torch.randint(9, (2,)).tolist()
            padded = torch.nn.functional.pad(image, (4, 4, 4, 4))
            image = padded[:, top : top + 32, left : left + 32]
            if torch.rand(()) < 0.5:
                image = image.flip(2)
        return image, int(self.labels[index])


def against_plain_loop(arch: ResNeSt) -> Callable[[Setting], Figures]:
    """Images a second of the engine, with and without graphs, and of the loop that one writes first.

    The loop: the authors' module, a ``DataLoader`` with eight workers over decoded images, eager float32.
    """

    def measure(setting: Setting) -> Figures:
        needs("resnest")
        from benchmarks.plain import authors_network, plain_train

        network = setting.size(arch, SMALL)
        dataset = setting.images(setting.size(20_000, 100))
        recipe = Recipe(
            epochs=setting.size(3, 1), batch_size=setting.size(128, 64), augment=MOVED
        )
        split = (each.to("cpu") for each in (dataset.train, dataset.validation))
        train, held_out = (
            Pixels(*each, number == 0) for number, each in enumerate(split)
        )
        plain = plain_train(
            authors_network(network),
            train,
            held_out,
            recipe,
            setting.size(8, 0),
            setting.device,
        )
        rates = {
            "engine": _rate(_epochs(network, dataset, recipe, setting)),
            "no_graphs": _rate(
                _epochs(network, dataset, replace(recipe, cuda_graph=False), setting)
            ),
            "plain": _rate(plain),
        }
        return rates | {"ratio": rates["engine"] / rates["plain"]}

    return measure


def _epochs(
    arch: ResNeSt, dataset: Dataset, recipe: Recipe, setting: Setting
) -> Iterator[Metrics]:
    model = build_seeded(arch, dataset.task, 0)
    training = Training(model, dataset, recipe, setting.device)
    while len(training.history) < recipe.epochs:
        yield training.next_epoch()


def _rate(rows: Iterator[Metrics]) -> float:
    """Images a second of the fastest epoch: the first also warms up and records."""
    return max(float(row["images_per_second"]) for row in rows)


def trials_at_once(setting: Setting) -> Figures:
    """Images a second of 1, 2, 4 and 8 trainings that share the device, all together."""
    rates = {}
    for count in setting.size((1, 2, 4, 8), (1, 2)):
        rates[f"trials_{count}"] = _together(count, setting)
    best = max(rates.values())
    # of 45,000 images, the rest being validated on, for 5 epochs
    proxies = best * HALF_AN_HOUR / (45_000 * 5)
    return rates | {"gain": best / rates["trials_1"], "proxies_in_30_min": proxies}


def _together(count: int, setting: Setting) -> float:
    context = multiprocessing.get_context("spawn")
    start, done = context.Barrier(count + 1), context.Barrier(count + 1)
    images = context.Value("q", 0)
    told = (setting, 1 / count, start, done, images)
    workers = [context.Process(target=_trial, args=told) for _ in range(count)]
    for worker in workers:
        worker.start()
    try:
        # who comes last opens a barrier, so the clock starts and stops with the slowest
        wait_for(lambda: start.n_waiting == count, workers)
        started = perf_counter()
        start.wait()
        wait_for(lambda: done.n_waiting == count, workers)
        return float(images.value / (perf_counter() - started))
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _trial(setting: Setting, share: float, start: Any, done: Any, images: Any) -> None:
    torch.set_num_threads(1)
    dataset = setting.images(setting.size(50_000, 100))
    epochs = setting.size(5, 1)
    recipe = Recipe(epochs=epochs + 1, batch_size=setting.size(128, 64), augment=MOVED)
    model = build_seeded(SMALL, dataset.task, 0)
    fraction = share if setting.cuda and share < 1 else None
    training = Training(
        model, dataset, recipe, setting.device, memory_fraction=fraction
    )
    training.next_epoch()
    start.wait()
    for _ in range(epochs):
        training.next_epoch()
    with images.get_lock():
        images.value += epochs * len(dataset.train.labels)
    done.wait()


def proxy(setting: Setting) -> Figures:
    """A whole proxy training of 50,000 images, 5 epochs: from nothing to the last accuracy."""
    dataset = setting.images(setting.size(50_000, 100))
    recipe = Recipe(
        epochs=setting.size(5, 1), batch_size=setting.size(256, 64), augment=MOVED
    )
    started = perf_counter()
    rows = list(_epochs(SMALL, dataset, recipe, setting))
    return {
        "seconds": perf_counter() - started,
        "accuracy": rows[-1]["accuracy"],
        "images_per_second": _rate(iter(rows)),
    }


def to_94_percent(setting: Setting) -> Figures:
    """Training time of a network of the space until it is right on 94 % of CIFAR-10's test images.

    ``seconds`` is of all epochs, validation included, decoding and building not; ``reached_s`` is when the 1,000
    validation images first said 94 %.
    """
    if not setting.tiny:
        setting.real_images()
    settings = setting.data_settings(setting.size(50_000, 100), validation=0.02)
    dataset = setting.images(100) if setting.tiny else _loaded(settings, setting)
    recipe = Recipe(
        epochs=setting.size(16, 1),
        batch_size=setting.size(512, 64),
        lr=setting.size(0.4, 0.1),
        weight_decay=5e-4,
        optimizer="muon",
        schedule="one_cycle",
        augment=replace(MOVED, cutout=8),
        ema=0.99,
    )
    rows = []
    network = setting.size(FASTEST, SMALL)
    training = Training(
        build_seeded(network, dataset.task, 0), dataset, recipe, setting.device
    )
    while len(training.history) < recipe.epochs:
        rows.append(training.next_epoch())
    test = load_test(settings).to(setting.device)
    seconds = [float(row["seconds"]) for row in rows]
    reached = [
        sum(seconds[: row + 1])
        for row, metrics in enumerate(rows)
        if float(metrics["accuracy"]) >= SHARE_94
    ]
    return {
        "test_accuracy": training.evaluate(test).accuracy,
        "seconds": sum(seconds),
        "reached_s": reached[0] if reached else "not",
    }


def _loaded(settings: Any, setting: Setting) -> Dataset:
    from evaluators import load

    return load(settings, setting.device)


def resnest50_step(setting: Setting) -> Figures:
    """A training step of ResNeSt-50 at 224 pixels in bfloat16: ours, replayed, and with the authors' module."""
    task = setting.size(IMAGENET, replace(IMAGENET, resolution=64))
    arch = reference(setting.size("resnest50", "resnest14d"))
    batch = setting.size(128, 2)
    images = torch.randn(
        batch, 3, task.resolution, task.resolution, device=setting.device
    ).to(memory_format=torch.channels_last)
    labels = torch.arange(batch, device=setting.device)
    ours = build_seeded(arch, task, 0)
    taken = {"ours_ms": _step_ms(ours, images, labels, setting, replayed=False)}
    if setting.cuda:
        memory = torch.cuda.max_memory_allocated(setting.device) / 1e6
        graph = _step_ms(ours, images, labels, setting, replayed=True)
        taken |= {"memory_mb": memory, "graph_ms": graph}
    try:
        needs("resnest")
    except MissingError as missing:
        return taken | {"theirs": str(missing)}
    from benchmarks.plain import authors_network

    theirs = _step_ms(authors_network(arch, task), images, labels, setting, False)
    return taken | {
        "theirs_ms": theirs,
        "ratio": theirs / taken["ours_ms"],
        "images_per_second": 1e3
        * batch
        / min(taken["ours_ms"], taken.get("graph_ms", 1e9)),
    }


def _step_ms(
    network: torch.nn.Module,
    images: Tensor,
    labels: Tensor,
    setting: Setting,
    replayed: bool,
) -> float:
    recipe = Recipe(precision="bfloat16")
    network = network.to(setting.device).to(memory_format=torch.channels_last).train()
    lr = torch.full((), 1e-4, device=setting.device)
    step = TrainStep(
        network, recipe.optimizer_of(network, lr), recipe, setting.device, splits=1
    )
    call = Replayed(step, setting.device) if replayed else step
    milliseconds = stopwatch(lambda: call(images, labels), setting.device)
    times = [milliseconds() for _ in range(setting.size(25, 2))]
    return median(times[len(times) // 2 :])


def compiling(setting: Setting) -> Figures:
    """Seconds of the first epoch with compiled blocks in a new process, before and after the disk knows them."""
    if not setting.cuda:
        raise MissingError("needs a GPU: takes minutes on the CPU")
    context = multiprocessing.get_context("spawn")
    seconds = []
    for _ in range(2):
        taken = context.Value("d", 0.0)
        call_in_process(_first_epoch, setting, taken)
        seconds.append(float(taken.value))
    return {"first_s": seconds[0], "from_disk_s": seconds[1]}


def _first_epoch(setting: Setting, taken: Any) -> None:
    dataset = setting.images(2_000)
    recipe = Recipe(epochs=1, compile=True)
    started = perf_counter()
    list(_epochs(SMALL, dataset, recipe, setting))
    taken.value = perf_counter() - started
