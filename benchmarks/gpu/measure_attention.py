"""Split attention against the authors' module, and how near its traffic comes to what the card can move."""

from __future__ import annotations

from collections.abc import Callable
from math import exp, log
from statistics import fmean, median

import torch

from benchmarks.gpu.setting import Figures, MissingError, Setting, needs
from evaluators.latency.timing import stopwatch

ROUNDS = 30
COPIED = 2**28
"""Numbers in the tensor whose copy tells what the card can move: 1 GiB."""


def split_attention(*, compiled: bool) -> Callable[[Setting], Figures]:
    """Forward + backward of both modules with the same weights, in turn, over ResNet-50's four stages.

    ``speedup`` and ``added`` are geometric means over the stages: the whole module, theirs / ours, and what
    attention adds to convolution, norm and ReLU, ours / theirs. ``floor_gb_s`` is of ours without its
    convolution: bytes that any implementation reads or writes once, by the time; ``of_copy`` its share of what
    a plain copy moves.
    """

    def measure(setting: Setting) -> Figures:
        needs("resnest")
        if compiled and not setting.cuda:
            raise MissingError("needs a GPU: takes minutes on the CPU")
        from benchmarks.split_attention import STAGES, Case
        from benchmarks.split_attention import measure as both

        dtype = torch.bfloat16 if setting.cuda else torch.float32
        batch, rounds = setting.size(128, 2), setting.size(ROUNDS, 2)
        stages = setting.size(tuple(STAGES), (4,))
        speedups, added, rates = [], [], []
        for stage in stages:
            case = Case(stage, 2, 1, "channels_last", dtype)
            result = both(case, batch, rounds, setting.device, compiled=compiled)
            speedups.append(result.speedup)
            added.append(max(result.added, 1e-3))
            rates.append(
                _floor_bytes(case.radix, *STAGES[stage], batch, dtype.itemsize)
                / median(result.times["added ours"])
                / 1e6
            )
        copy = _copy_rate(setting)
        return {
            "speedup": _geometric(speedups),
            "slowest": min(speedups),
            "added": _geometric(added),
            "floor_gb_s": fmean(rates),
            "of_copy": fmean(rates) / copy,
        }

    return measure


def _floor_bytes(radix: int, channels: int, side: int, batch: int, size: int) -> int:
    """Forward: splits in, maps out. Backward: the maps' gradient and the splits in, the splits' gradient out."""
    maps = batch * channels * side**2 * size
    forward, backward = radix + 1, 1 + radix + radix
    return (forward + backward) * maps


def _copy_rate(setting: Setting) -> float:
    """GB/s read and written by the copy of a large tensor."""
    source = torch.zeros(setting.size(COPIED, 2**16), device=setting.device)
    target = torch.empty_like(source)
    milliseconds = stopwatch(lambda: target.copy_(source), setting.device)
    taken = median(milliseconds() for _ in range(10))
    return 2 * source.numel() * source.element_size() / taken / 1e6


def _geometric(values: list[float]) -> float:
    return exp(fmean(map(log, values)))
