"""How long one batch takes on the device at hand."""

from __future__ import annotations

import copy
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, perf_counter_ns

import numpy as np
import torch
from torch import Tensor, nn

from search_spaces import IMAGENET, Arch, Task

from .device import device_name, resolve_device
from .device_lock import exclusive
from .evaluator import Metrics
from .seeding import build_seeded

DTYPES = ("float32", "float16", "bfloat16")
WARMUP_WINDOW = 5
WARMUP_TOLERANCE = 0.05
MEDIAN_TOLERANCE = 0.01


@dataclass(frozen=True)
class LatencyResult:
    """Times in milliseconds per batch.

    ``memory_mb`` is the most memory (10^6 bytes) that weights, input and activations took on a CUDA device,
    and None on the CPU, where it is not measured. ``device`` says what the times are only comparable within:
    hardware, threads, dtype, memory format, batch, image, torch.
    """

    median_ms: float
    iqr_ms: float
    min_ms: float
    samples: tuple[float, ...]
    memory_mb: float | None
    device: str


@dataclass(frozen=True)
class Latency:
    """Measured latency, no training of ours on the device meanwhile; fields as in ``measure_latency``."""

    task: Task = IMAGENET
    device: str = "cpu"
    batch_size: int = 1
    dtype: str = "float32"
    threads: int | None = 1
    channels_last: bool = False
    min_repetitions: int = 20
    max_seconds: float = 1.0

    @property
    def metrics(self) -> tuple[str, ...]:
        times = ("latency_ms", "latency_iqr_ms")
        return (*times, "memory_mb") if self.device.startswith("cuda") else times

    def evaluate(self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None) -> Iterator[Metrics]:
        model = build_seeded(arch, self.task, seed)
        with exclusive(resolve_device(self.device)):
            result = measure_latency(
                model,
                self.task,
                self.device,
                self.batch_size,
                self.dtype,
                threads=self.threads,
                channels_last=self.channels_last,
                min_repetitions=self.min_repetitions,
                max_seconds=self.max_seconds,
            )
        metrics: Metrics = {
            "latency_ms": result.median_ms,
            "latency_iqr_ms": result.iqr_ms,
            "device": result.device,
        }
        yield metrics if result.memory_mb is None else metrics | {"memory_mb": result.memory_mb}


def measure_latency(
    model: nn.Module,
    task: Task,
    device: str = "cpu",
    batch_size: int = 1,
    dtype: str = "float32",
    *,
    threads: int | None = None,
    channels_last: bool = False,
    min_repetitions: int = 20,
    max_seconds: float = 1.0,
) -> LatencyResult:
    """Time the forward pass of a copy of the model in eval mode on random images.

    Warms up until the medians of successive windows agree within 5 %, then repeats at least
    ``min_repetitions`` times and on until the median is known to 1 % (notch of McGill et al. 1978: 1.57 IQR /
    sqrt(n)); warming up and going on each end after ``max_seconds``. ``threads`` is for the CPU; None leaves
    torch's setting. Does not keep others off the device: ``Latency`` does.

    Raises:
        ValueError: for a device this machine does not have, an unknown dtype or a setting below 1.
    """
    where = resolve_device(device)
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; use {', '.join(DTYPES)}")
    for name, value in (
        ("batch_size", batch_size),
        ("min_repetitions", min_repetitions),
        ("threads", threads),
    ):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, not {value}")
    if (threads or 1) > (cores := os.cpu_count() or 1):
        raise ValueError(f"threads must be at most {cores}, the cores of this machine, not {threads}")
    layout = torch.channels_last if channels_last else torch.contiguous_format
    with _quiet(threads), torch.inference_mode(), _memory(where) as memory_mb:
        to = {"device": where, "dtype": getattr(torch, dtype), "memory_format": layout}
        copied = copy.deepcopy(model).eval().to(**to)
        shape = (batch_size, task.channels, task.resolution, task.resolution)
        images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(**to)
        run = _timer(copied, images)
        _warm_up(run, max_seconds)
        samples = _repeat(run, min_repetitions, max_seconds)
        facts = _facts(where, dtype, channels_last, shape)
    lower, median, upper = np.percentile(samples, (25, 50, 75))
    return LatencyResult(
        float(median), float(upper - lower), min(samples), tuple(samples), memory_mb(), facts
    )


@contextmanager
def _quiet(threads: int | None) -> Iterator[None]:
    """No garbage collection meanwhile, and so many CPU threads."""
    collecting, threads_before = gc.isenabled(), torch.get_num_threads()
    gc.collect()
    gc.disable()
    torch.set_num_threads(threads or threads_before)
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        if collecting:
            gc.enable()


@contextmanager
def _memory(device: torch.device) -> Iterator[Callable[[], float | None]]:
    """A function that says how many 10^6 bytes the block has taken at most, if on a CUDA device: then
    the current one."""
    if device.type != "cuda":
        yield lambda: None
        return
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    with torch.cuda.device(device):
        yield lambda: (torch.cuda.max_memory_allocated(device) - before) / 1e6


def _timer(model: nn.Module, images: Tensor) -> Callable[[], float]:
    """A function that runs the model once and returns the milliseconds it took."""
    if images.device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

        def run() -> float:
            start.record()
            model(images)
            end.record()
            end.synchronize()
            return float(start.elapsed_time(end))
    else:

        def run() -> float:
            started = perf_counter_ns()
            model(images)
            return (perf_counter_ns() - started) / 1e6

    return run


def _warm_up(run: Callable[[], float], max_seconds: float) -> None:
    deadline = perf_counter() + max_seconds
    median = float("inf")
    while perf_counter() < deadline:
        previous, median = median, float(np.median([run() for _ in range(WARMUP_WINDOW)]))
        if abs(previous - median) <= WARMUP_TOLERANCE * median:
            return


def _repeat(run: Callable[[], float], min_repetitions: int, max_seconds: float) -> list[float]:
    deadline = perf_counter() + max_seconds
    samples = [run() for _ in range(min_repetitions)]
    while perf_counter() < deadline:
        lower, median, upper = np.percentile(samples, (25, 50, 75))
        if 1.57 * (upper - lower) / len(samples) ** 0.5 <= MEDIAN_TOLERANCE * median:
            break
        samples += [run() for _ in range(min_repetitions)]
    return samples


def _facts(device: torch.device, dtype: str, channels_last: bool, shape: tuple[int, ...]) -> str:
    threads = torch.get_num_threads()
    batch, *image = shape
    facts = [
        device_name(device),
        f"CUDA {torch.version.cuda}" if device.type == "cuda" else f"{threads} thread{'s' * (threads > 1)}",
        f"{dtype} channels_last" if channels_last else dtype,
        f"batch {batch}",
        "x".join(map(str, image)),
        f"torch {torch.__version__}",
    ]
    return ", ".join(facts)
