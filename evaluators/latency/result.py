"""What a measurement of latency found, and whether it can be trusted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evaluators.latency.settings import LatencySettings

UNSTABLE = 5
"""A median so many times less certain than asked for is not reported; ``interval`` 1 asks for nothing."""


class UnstableLatencyError(ValueError):
    """A latency that cannot be trusted: too wide a spread, or too much work of others meanwhile."""


@dataclass(frozen=True)
class LatencyResult:
    """Times in milliseconds per batch.

    ``interval`` is half the width of the median's 95 % confidence interval as a share of it, ``se_ms`` the
    median's standard error, None of fewer than eight samples. ``throughput`` is
    in images per second. ``memory_mb`` is the most memory (10^6 bytes) that weights, input and activations
    took on a CUDA device, and None on the CPU, where it is not measured. ``load`` is the share of the CPU that
    others took meanwhile, None where the system does not tell. ``gpu`` is ``nvml.gpu_state`` right after.
    ``device`` says what the times are only comparable within: hardware, threads, dtype, memory format,
    batch, image, torch, and how the network was made ready.
    """

    median_ms: float
    iqr_ms: float
    min_ms: float
    se_ms: float | None
    interval: float
    samples: tuple[float, ...]
    throughput: float
    memory_mb: float | None
    load: float | None
    gpu: dict[str, float]
    device: str


def refusal_of(result: LatencyResult, settings: LatencySettings) -> str | None:
    """Why the result cannot be trusted, if so."""
    if result.load is not None and result.load > settings.max_load:
        return (
            f"latency was disturbed: others took {result.load:.0%} of the CPU meanwhile, at most "
            f"{settings.max_load:.0%} is allowed; measure on an idle machine, or raise latency.max_load"
        )
    if (
        settings.interval < 1
        and UNSTABLE * settings.interval < result.interval < math.inf
    ):
        return (
            f"latency was unstable: its median {result.median_ms:.3g} ms is only known to "
            f"{result.interval:.0%} after {len(result.samples)} runs, {settings.interval:.0%} was asked for; "
            "measure on an idle device, or raise latency.interval or latency.max_seconds"
        )
    return None
