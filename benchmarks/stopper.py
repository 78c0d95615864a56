"""Seconds of CPU that one decision of MultiObjectiveASHA takes among so many recorded trials, and what ranking
them anew takes.

    python benchmarks/stopper.py [--recorded 10000]

Rungs of five kinds, two to four objectives. "anew" ranks all recorded trials with moocore for every decision,
alternating with ours; the ratio is of medians. The worst case is a rung where all are non-dominated.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import moocore
import numpy as np

from nas.stopper.asha import MultiObjectiveASHA
from nas.stopper.rung import Array


def rungs(count: int, d: int, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    sphere = np.abs(rng.normal(size=(count, d)))
    yield "independent", rng.random((count, d))
    yield "all non-dominated", sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
    yield "correlated", rng.random((count, 1)) + 0.01 * rng.random((count, d))
    yield (
        "all in one chain",
        np.repeat(rng.permutation(count)[:, None], d, axis=1).astype(float),
    )
    yield "grid of 10", rng.integers(0, 10, (count, d)).astype(float)


def compare(name: str, points: Array, last: int = 200) -> None:
    d = points.shape[1]
    stopper = MultiObjectiveASHA({f"o{axis}": "min" for axis in range(d)}, max_epochs=3)
    ours, anew = [], []
    for trial, point in enumerate(points):
        metrics = {f"o{axis}": float(value) for axis, value in enumerate(point)}
        start = time.process_time()
        stopper.report(trial, 1, metrics)
        if trial >= len(points) - last:
            ours.append(time.process_time() - start)
            start = time.process_time()
            moocore.pareto_rank(points[: trial + 1])
            anew.append(time.process_time() - start)
    ours_ms, anew_ms = (1e3 * float(np.median(times)) for times in (ours, anew))
    print(
        f"{d} objectives, {name:18} {ours_ms:6.2f} ms (99 %: {1e3 * np.quantile(ours, 0.99):6.2f}), "
        f"anew {anew_ms:6.2f} ms, ratio {anew_ms / ours_ms:5.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--recorded", type=int, default=10_000)
    count = parser.parse_args().recorded
    for d in (2, 3, 4):
        for name, points in rungs(count, d, np.random.default_rng(0)):
            compare(name, points)


if __name__ == "__main__":
    main()
