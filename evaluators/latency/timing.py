"""Timing a network's forward pass: how it is run, when it is warm, when it has been run often enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter, perf_counter_ns

import numpy as np
import torch
from torch import Tensor, nn

WARMUP_WINDOW = 5
WARMUP_TOLERANCE = 0.05
CAPTURE_WARMUP = 3
LEAST_SAMPLES = 8
"""Fewer have no confidence interval of their median."""
NORMAL_95 = 1.96
"""Standard errors on either side of a normal estimate that hold the truth in 95 % of the cases."""

Forward = Callable[[], object]


def compiled(model: nn.Module, images: Tensor) -> Callable[[Tensor], object]:
    """The model by ``torch.compile``, compiled for these images.

    Raises:
        ValueError: with the compiler's first words, where it is missing or fails.
    """
    # what was compiled before counts towards a limit beyond which torch would run this model uncompiled
    torch.compiler.reset()
    fast: Callable[[Tensor], object] = torch.compile(model)
    try:
        fast(images)
    except Exception as error:
        reason = next(
            line
            for line in f"{error}\n{type(error).__name__}".splitlines()
            if line.strip()
        )
        raise ValueError(
            f"compile: torch.compile cannot build this network here ({reason.strip()}); it needs a C++ "
            "compiler on the CPU and triton on a GPU; compile=False measures without"
        ) from error
    return fast


def captured(run: Forward) -> Forward:
    """The work of ``run`` as one CUDA graph: its kernels are launched together."""
    # torch wants the runs before a capture on a side stream
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(CAPTURE_WARMUP):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = run()

    def replay() -> object:
        graph.replay()
        return output

    return replay


def stopwatch(run: Forward, device: torch.device) -> Callable[[], float]:
    """A function that runs once and returns the milliseconds it took."""
    if device.type == "cuda":
        # the GPU's own clock: Python's would measure the launch
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

        def milliseconds() -> float:
            start.record()
            run()
            end.record()
            end.synchronize()
            return float(start.elapsed_time(end))
    else:

        def milliseconds() -> float:
            started = perf_counter_ns()
            run()
            return (perf_counter_ns() - started) / 1e6

    return milliseconds


def warm_up(milliseconds: Callable[[], float], max_seconds: float) -> None:
    """Run until the medians of successive windows agree within 5 %, or the time is up."""
    deadline = perf_counter() + max_seconds
    median = math.inf
    while perf_counter() < deadline:
        # clock rates, caches and lazy set-up have settled once two windows agree
        previous = median
        window = [milliseconds() for _ in range(WARMUP_WINDOW)]
        median = float(np.median(window))
        if abs(previous - median) <= WARMUP_TOLERANCE * median:
            return


def repeat(
    milliseconds: Callable[[], float],
    interval: float,
    min_repetitions: int,
    max_seconds: float,
) -> list[float]:
    """Run until the median is known to ``interval``, or the time is up and there are enough."""
    deadline = perf_counter() + max_seconds
    samples = [milliseconds() for _ in range(min_repetitions)]
    while perf_counter() < deadline and median_interval(samples) > interval:
        samples += [milliseconds() for _ in range(min_repetitions)]
    return samples


def median_interval(samples: Sequence[float]) -> float:
    """Half the width of the median's 95 % confidence interval, as a share of the median.

    Between order statistics, by the normal approximation of the binomial (Le Boudec 2010, "Performance
    Evaluation of Computer and Communication Systems", appendix A): holds for skewed and bimodal samples.
    Infinite where there are too few for an interval, fewer than ``LEAST_SAMPLES``.
    """
    ordered = sorted(samples)
    count = len(samples)
    # ranks of the two order statistics between which the median lies
    spread = NORMAL_95 * math.sqrt(count)
    lower = math.floor((count - spread) / 2)
    upper = math.ceil(1 + (count + spread) / 2)
    if lower < 1:
        return math.inf
    half = (ordered[upper - 1] - ordered[lower - 1]) / 2
    return half / float(np.median(ordered))


def median_error(samples: Sequence[float]) -> float | None:
    """The standard error of the median, in the unit of the samples; None where they are fewer than eight.

    Only of these samples: what differs between two measurements (clock, neighbours, placement) comes on top.
    """
    half_width = median_interval(samples) * float(np.median(samples))
    return half_width / NORMAL_95 if math.isfinite(half_width) else None
