"""Latency on a GPU: of published networks, how repeatable, beside trainers, foretold."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice, product
from pathlib import Path
from statistics import mean, median, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torch import nn

from benchmarks.gpu.checks_latency import training_beside
from benchmarks.gpu.measure_training import SMALL
from benchmarks.gpu.processes import call_in_process
from benchmarks.gpu.setting import Figures, MissingError, Setting, needs
from evaluators import Latency, PredictedLatency, UnstableLatencyError, measure_latency
from search_spaces import IMAGENET, Task, build, get_space, reference

COMPILED = ("resnest50", "regnety_4.0gf", "fbnetv2_l2")
"""Compiling takes up to a minute a network and batch."""
OTHERS = {
    "torchvision": ("efficientnet_b0", "regnet_y_4gf"),
    "timm": ("efficientnet_b0", "regnety_040"),
}


def published(name: str) -> Callable[[Setting], Figures]:
    """Milliseconds a batch of 1 and of 64 images at 224 pixels in float16: eager, as one graph, some compiled."""

    def measure(setting: Setting) -> Figures:
        return _modes(build(reference(name), IMAGENET), name in COMPILED, setting)

    return measure


def others(package: str) -> Callable[[Setting], Figures]:
    """The same of networks of another library."""

    def measure(setting: Setting) -> Figures:
        needs(package)
        figures: dict[str, float | int | str] = {}
        for name in OTHERS[package]:
            model = _from_library(package, name)
            modes = _modes(model, False, setting)
            figures |= {f"{name} {mode}": value for mode, value in modes.items()}
        return figures

    return measure


def _from_library(package: str, name: str) -> nn.Module:
    try:
        if package == "torchvision":
            import torchvision

            return torchvision.models.get_model(name)
        import timm

        return timm.create_model(name)
    except ImportError as error:
        raise MissingError(f"{package} cannot be imported: {error}") from error


def _modes(model: nn.Module, compiled: bool, setting: Setting) -> Figures:
    task = setting.size(IMAGENET, Task(1000, 32))
    modes = [{}, {"cuda_graph": True}] if setting.cuda else [{}]
    if compiled and setting.cuda:
        modes.append({"compile": True})
    figures = {}
    for batch, mode in product(setting.size((1, 64), (1,)), modes):
        result = measure_latency(
            model,
            task,
            str(setting.device),
            batch,
            "float16" if setting.cuda else "float32",
            channels_last=True,
            max_seconds=setting.size(1.0, 0.0),
            max_load=1.0,
            interval=setting.size(0.02, 1.0),
            **mode,
        )
        figures[f"{next(iter(mode), 'eager')}_b{batch}_ms"] = result.median_ms
    return figures


def repeatability(setting: Setting) -> Figures:
    """The same network in ten processes, one after the other: coefficient of variation of their medians."""
    context = multiprocessing.get_context("spawn")
    medians, refused = [], 0
    for _ in range(setting.size(10, 2)):
        taken = context.Value("d", 0.0)
        call_in_process(_once, setting, taken)
        if taken.value:
            medians.append(float(taken.value))
        else:
            refused += 1
    if len(medians) < 2:
        raise UnstableLatencyError(f"{refused} processes measured nothing stable")
    variation = stdev(medians) / mean(medians)
    return {"median_ms": median(medians), "cv": variation, "refused": refused}


def _once(setting: Setting, taken: Any) -> None:
    task = setting.size(IMAGENET, Task(10, 32, small_images=True))
    name = setting.size("resnest50", "resnest14d")
    try:
        taken.value = (
            _latency(task, setting)
            .measure_alone(build(reference(name), task))
            .median_ms
        )
    except UnstableLatencyError:
        taken.value = 0.0


def _latency(task: Task, setting: Setting) -> Latency:
    return Latency(
        task,
        device=str(setting.device),
        cuda_graph=setting.cuda,
        max_seconds=setting.size(1.0, 0.05),
        max_load=1.0,
        interval=setting.size(0.01, 1.0),
    )


def beside_trainers(setting: Setting) -> Figures:
    """A network's latency alone, and beside two trainers with the lock and without: how much longer it takes."""
    task = Task(10, 32, small_images=True)
    latency, rounds = _latency(task, setting), setting.size(10, 2)

    def locked() -> float:
        return median(
            latency.measure_alone(build(SMALL, task)).median_ms for _ in range(rounds)
        )

    def unlocked() -> float:
        settings = {
            name: value
            for name, value in asdict(latency).items()
            if name not in ("task", "device", "batch_size", "dtype", "interval")
        }
        return median(
            measure_latency(
                build(SMALL, task), task, latency.device, interval=1.0, **settings
            ).median_ms
            for _ in range(rounds)
        )

    alone = locked()
    with training_beside(setting, 2):
        with_lock, without = locked(), unlocked()
    return {
        "alone_ms": alone,
        "with_lock": with_lock / alone - 1,
        "without_lock": without / alone - 1,
    }


def predictor(setting: Setting) -> Figures:
    """Latencies put together from blocks against measured ones, of networks the predictor has not seen."""
    task = Task(10, 32, small_images=True)
    space = get_space("resnest")
    limits = {"macs": (None, setting.size(500e6, 100e6))}
    rng = np.random.default_rng(1)
    archs = list(islice(space.samples(rng, limits, task), setting.size(16, 3)))
    latency = _latency(task, setting)
    with TemporaryDirectory() as folder:
        predictor = PredictedLatency(
            latency,
            space,
            setting.size(16, 4),
            table=str(Path(folder) / "latency.db"),
            limits=limits,
        )
        told = [
            float(next(predictor.evaluate(arch))["predicted_latency_ms"])
            for arch in archs
        ]
    measured = [latency.measure_alone(build(arch, task)).median_ms for arch in archs]
    apart = [abs(a - b) / b for a, b in zip(told, measured, strict=True)]
    return {"mape": mean(apart), "tau": _tau(told, measured), "networks": len(archs)}


def _tau(a: list[float], b: list[float]) -> float:
    """Kendall's, without ties; scipy's may not be there."""
    signs = [np.sign(np.subtract.outer(values, values)) for values in (a, b)]
    return float((signs[0] * signs[1]).sum() / (len(a) * (len(a) - 1)))
