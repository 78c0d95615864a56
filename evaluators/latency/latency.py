"""How long one batch takes on the device at hand; a number that others' work has spoilt is not given out."""

from __future__ import annotations

import copy
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import sleep

import numpy as np
import torch
from torch import nn

from evaluators.devices.device import device_name, resolve_device
from evaluators.devices.lock import Shared, exclusive
from evaluators.devices.seeding import build_seeded
from evaluators.evaluator import Metrics
from evaluators.fields import from_values, require
from evaluators.latency.cores import OtherLoad, allowed_cores, confined
from evaluators.latency.nvml import gpu_state
from evaluators.latency.result import (
    LatencyResult,
    UnstableLatencyError,
    refusal_of,
)
from evaluators.latency.settings import LatencySettings
from evaluators.latency.timing import (
    LEAST_SAMPLES,
    Forward,
    captured,
    compiled,
    median_error,
    median_interval,
    repeat,
    stopwatch,
    warm_up,
)
from search_spaces import IMAGENET, Arch, Task, fold

PAUSES = (1.0, 3.0)
"""Seconds before the second and third attempt of an evaluation, which may go on twice and four times as long."""


@dataclass(frozen=True, kw_only=True)
class Latency(LatencySettings):
    """Measured latency, no training of ours on the device meanwhile.

    Tries three times in all if others disturb, then raises ``UnstableLatencyError``; with ``keep_disturbed``
    it takes the attempt of the lowest median instead, since others' work only ever adds time.
    """

    task: Task = field(default=IMAGENET, kw_only=False)
    device: str = "cpu"

    def __post_init__(self) -> None:
        super().__post_init__()
        recordable = self.device.startswith("cuda") or not self.cuda_graph
        where = f"false on the device {self.device}"
        require(self, "cuda_graph", recordable, where)

    @property
    def metrics(self) -> tuple[str, ...]:
        times: tuple[str, ...] = ("latency_ms", "latency_iqr_ms")
        if self._error_known:
            times += ("latency_se_ms",)
        if self.device.startswith("cuda"):
            return (*times, "memory_mb")
        return (*times, "latency_load") if sys.platform == "linux" else times

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        result = self.measure_alone(build_seeded(arch, self.task, seed))
        metrics: Metrics = {
            "latency_ms": result.median_ms,
            "latency_iqr_ms": result.iqr_ms,
            "device": result.device,
        }
        known = {
            "latency_se_ms": result.se_ms if self._error_known else None,
            "latency_load": result.load,
            "memory_mb": result.memory_mb,
        }
        yield metrics | {
            name: value for name, value in known.items() if value is not None
        }

    @property
    def _error_known(self) -> bool:
        """Whether every measurement has samples enough to tell how sure its median is."""
        return self.min_repetitions >= LEAST_SAMPLES

    def measure_alone(self, model: nn.Module) -> LatencyResult:
        """Measure while everybody who uses ``devices.lock`` is kept off the device; try again if disturbed."""
        where = resolve_device(self.device)
        attempts = []
        for attempt, pause in enumerate((*PAUSES, 0.0)):
            # more samples see past a neighbour that comes and goes
            settings = replace(self, max_seconds=2**attempt * self.max_seconds)
            result = _measure(model, settings, Shared(where), exclusive(where))
            if (refusal := refusal_of(result, self)) is None:
                return result
            attempts.append(result)
            sleep(pause)
        if not self.keep_disturbed:
            raise UnstableLatencyError(f"{refusal}, or set latency.keep_disturbed")
        return min(attempts, key=lambda attempt: attempt.median_ms)

    @property
    def signature(self) -> str:
        """What a latency is only comparable within; needs the device to be there."""
        where = resolve_device(self.device)
        cuda = where.type == "cuda"
        threads = self.threads or min(torch.get_num_threads(), allowed_cores())
        side = self.task.resolution
        facts = {
            device_name(where): True,
            f"CUDA {torch.version.cuda}": cuda,
            f"{threads} thread{'s' * (threads > 1)}": not cuda,
            f"{self.dtype}{' channels_last' * self.channels_last}": True,
            f"batch {self.batch_size}": True,
            f"{self.task.channels}x{side}x{side}": True,
            "folded": self.fold,
            "compiled": self.compile,
            "CUDA graph": self.cuda_graph,
            f"torch {torch.__version__}": True,
        }
        return ", ".join(fact for fact, holds in facts.items() if holds)


def measure_latency(
    model: nn.Module,
    task: Task,
    device: str = "cpu",
    batch_size: int = 1,
    dtype: str = "float32",
    **settings: bool | int | float | None,
) -> LatencyResult:
    """Time the forward pass of a copy of the model in eval mode on random images.

    Warms up until the medians of successive windows agree within 5 %, then repeats until the median is known
    well enough. ``settings`` are the further fields of ``LatencySettings``, ``threads`` being torch's number
    unless given. Does not keep others off the device: ``Latency`` does.

    Raises:
        ValueError: for a device this machine does not have, a wrong setting, a compiler that is missing.
        UnstableLatencyError: if the median stayed five times less certain than ``interval``, or if others
            took more than ``max_load`` of the CPU (of the machine, or of the core measured on) meanwhile.
    """
    given = {"task": task, "device": device, "batch_size": batch_size, "dtype": dtype}
    latency = from_values(Latency, given | {"threads": None} | settings)
    result = _measure(model, latency, nullcontext(), nullcontext())
    refusal = refusal_of(result, latency)
    if refusal and not latency.keep_disturbed:
        raise UnstableLatencyError(refusal)
    return result


def _measure(
    model: nn.Module,
    settings: Latency,
    preparing: AbstractContextManager[object],
    timing: AbstractContextManager[object],
) -> LatencyResult:
    """``preparing`` is entered while the network is made ready, ``timing`` while it is timed."""
    where = resolve_device(settings.device)
    session = _Session(model, settings, where)
    with confined(_threads(settings, where)) as call, _no_garbage_collection():
        # as one of many, since compiling may take minutes; only the timing needs the device alone
        with preparing:
            run = call(session.prepare)
        with timing:
            samples, load = call(partial(session.time, run))
            gpu = gpu_state(where)
    # the median: the mean follows every interruption
    return _result(session, samples, load, gpu)


def _result(
    session: _Session, samples: list[float], load: float | None, gpu: dict[str, float]
) -> LatencyResult:
    """What the samples amount to."""
    settings = session.settings
    quartiles = np.percentile(samples, (25, 50, 75))
    lower, median, upper = map(float, quartiles)
    return LatencyResult(
        median_ms=median,
        iqr_ms=upper - lower,
        min_ms=min(samples),
        se_ms=median_error(samples),
        interval=median_interval(samples),
        samples=tuple(samples),
        throughput=settings.batch_size / median * 1e3,
        memory_mb=session.memory_mb(),
        load=load,
        gpu=gpu,
        device=settings.signature,
    )


def _threads(settings: Latency, device: torch.device) -> int | None:
    if device.type != "cpu":
        return None
    cores = allowed_cores()
    if (settings.threads or 1) > cores:
        raise ValueError(
            f"threads must be at most {cores}, the cores this process may use, not {settings.threads}"
        )
    return settings.threads or min(torch.get_num_threads(), cores)


class _Session:
    """What happens on the measuring thread; inference mode and the current GPU are a thread's own."""

    def __init__(
        self, model: nn.Module, settings: Latency, device: torch.device
    ) -> None:
        self.model = model
        self.settings = settings
        self.device = device
        self.cuda = device.type == "cuda"
        self.allocated = torch.cuda.memory_allocated(device) if self.cuda else 0

    @contextmanager
    def _circumstances(self) -> Iterator[None]:
        with (
            torch.inference_mode(),
            torch.cuda.device(self.device) if self.cuda else nullcontext(),
        ):
            yield

    def prepare(self) -> Forward:
        """The forward pass as it is to be timed: folded, moved, compiled, captured as the settings say."""
        settings = self.settings
        task = self.settings.task
        # a copy: dtype and layout of the caller's model stay
        model = fold(self.model) if settings.fold else copy.deepcopy(self.model).eval()
        layout = (
            torch.channels_last if settings.channels_last else torch.contiguous_format
        )
        to = {
            "device": self.device,
            "dtype": getattr(torch, settings.dtype),
            "memory_format": layout,
        }
        side = task.resolution
        shape = (settings.batch_size, task.channels, side, side)
        with self._circumstances():
            images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
            model = model.to(**to)
            images = images.to(**to)
            forward = compiled(model, images) if settings.compile else model
            if self.cuda:
                # compiling may have taken more than the network needs
                torch.cuda.reset_peak_memory_stats(self.device)
            run = partial(forward, images)
            return captured(run) if settings.cuda_graph else run

    def time(self, run: Forward) -> tuple[list[float], float | None]:
        """Samples, and the CPU load of others meanwhile, of which a GPU's work is independent."""
        settings = self.settings
        with self._circumstances():
            milliseconds: Callable[[], float] = stopwatch(run, self.device)
            warm_up(milliseconds, settings.max_seconds)
            # from after the warm-up: only the samples must be undisturbed
            others = OtherLoad()
            samples = repeat(
                milliseconds,
                settings.interval,
                settings.min_repetitions,
                settings.max_seconds,
            )
            return samples, None if self.cuda else others.share()

    def memory_mb(self) -> float | None:
        if not self.cuda:
            return None
        return (torch.cuda.max_memory_allocated(self.device) - self.allocated) / 1e6


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    collecting = gc.isenabled()
    # a collection in the middle of a forward pass would be taken for the network's time
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
