"""The network without attention that takes as long as one with it: the same, with wider stages.

Latency is that of one image on one thread of the CPU. All candidates are timed by turns in one process, by the
thread's own clock, and the fastest tenth of the rounds counts, so other load matters little.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from results import write_atomic
from search_spaces import Arch, RegNetY, ResNeSt, Task, arch_from_dict, build

FACTORS = np.geomspace(1, 4, 25).tolist()
ROUNDS = 60


def wider(arch: Arch, factor: float) -> Arch:
    """All stages by ``factor``, in steps of eight channels; the stem stays."""
    if isinstance(arch, ResNeSt):
        widths = tuple(8 * max(1, round(factor * width / 8)) for width in arch.widths)
        return replace(arch, widths=widths)
    if isinstance(arch, RegNetY):
        return replace(
            arch, w0=8 * round(factor * arch.w0 / 8), wa=round(factor * arch.wa, 2)
        )
    raise TypeError(f"{type(arch).__name__} has no stages to widen")


def latencies(archs: list[Arch], task: Task) -> list[float]:
    """Milliseconds of each for one image, by turns."""
    image = torch.zeros(1, task.channels, task.resolution, task.resolution)
    models = [build(arch, task).eval() for arch in archs]

    def milliseconds(model: Any) -> float:
        started = thread_time()
        model(image)
        return 1e3 * (thread_time() - started)

    with threadpool_limits(1), torch.inference_mode():
        rounds = [[milliseconds(model) for model in models] for _ in range(ROUNDS)]
    return [float(each) for each in np.quantile(rounds[ROUNDS // 6 :], 0.1, axis=0)]


def as_slow(none: Arch, attended: Arch, task: Task) -> tuple[Arch, list[float]]:
    """The one that comes nearest to ``attended``, with what both took."""
    candidates = list(dict.fromkeys(wider(none, factor) for factor in FACTORS))
    wanted, *taken = latencies([attended, *candidates], task)
    nearest = min(range(len(taken)), key=lambda each: abs(taken[each] - wanted))
    return candidates[nearest], [taken[nearest], wanted]


def kept(path: Path, pairs: list[tuple[Arch, Arch]], task: Task) -> list[Arch]:
    """``as_slow`` of every pair (without, with attention); what the file holds is not measured again."""
    rows = json.loads(path.read_text()) if path.exists() else {}
    for none, attended in pairs:
        if attended.id not in rows:
            found, milliseconds = as_slow(none, attended, task)
            rows[attended.id] = {"arch": found.to_dict(), "milliseconds": milliseconds}
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, json.dumps(rows, indent=1))
    return [arch_from_dict(rows[attended.id]["arch"]) for _, attended in pairs]
