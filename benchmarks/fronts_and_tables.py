"""Tables, fronts and hypervolumes against plain code, alternating in one process.

    python benchmarks/fronts_and_tables.py [--rows 1000000] [--rounds 3]

"plain" is pandas.read_csv of the same table; the numpy filter that pymoo-style scripts use for a front;
hypervolume by slicing in Python; json.loads and groupby for a log. The best of
the rounds counts; on a busy machine, time of the processor says more.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from results import EventLog, hypervolume, load_run, pareto_front
from results.log.event_log import last_event
from results.runs.snapshot import write_snapshot
from results.runs.tables import Tables

OBJECTIVES = {"accuracy": "max", "latency_ms": "min", "flops": "min"}


def race(
    name: str,
    rounds: int,
    ours: Callable[[], object],
    plain: Callable[[], object],
    limit: float,
) -> None:
    times: dict[Callable[[], object], list[tuple[float, float]]] = {ours: [], plain: []}
    for _ in range(rounds):
        for action in (ours, plain):
            wall, work = time.perf_counter(), time.process_time()
            action()
            times[action].append(
                (time.perf_counter() - wall, time.process_time() - work)
            )
    (fast, work), (slow, _) = min(times[ours]), min(times[plain])
    print(
        f"{name}: {fast:.3f} s (to reach: {limit:g} s), {work:.3f} s of the processor; plain {slow:.3f} s, "
        f"{slow / fast:.2g} times as long"
    )


def write_log(folder: Path, trials: int, epochs: int) -> None:
    """A search's log: per trial a proposal, a measurement, ``epochs`` epochs and its end."""
    rng = np.random.default_rng(0)
    EventLog(folder / "events.db").close()
    rows: list[tuple[float, str, int | None, str]] = []

    def add(kind: str, trial: int | None = None, **data: object) -> None:
        rows.append((1.76e9 + len(rows), kind, trial, json.dumps(data)))

    add("search_started", config={"data": "digits"}, objectives=OBJECTIVES)
    for trial in range(trials):
        knobs = {
            f"{knob}{stage}": int(rng.integers(1, 9))
            for knob in ("depth", "width")
            for stage in range(1, 5)
        }
        add(
            "proposed",
            trial,
            arch_id=f"{trial:012x}",
            space="resnest",
            arch={"space": "resnest", **knobs},
            knobs=knobs,
            seed=0,
        )
        add(
            "measured",
            trial,
            latency_ms=rng.uniform(1, 60),
            latency_iqr_ms=0.1,
            flops=int(rng.integers(1e6, 6e9)),
            device="CPU",
        )
        for epoch in range(1, epochs + 1):
            add(
                "epoch",
                trial,
                epoch=epoch,
                accuracy=rng.uniform(),
                train_loss=1.0 / epoch,
                validation_loss=1.0,
                seconds=3.0,
            )
        add("finished", trial, status="complete", error=None)
    with sqlite3.connect(folder / "events.db") as connection:
        connection.executemany(
            "INSERT INTO events (time, kind, trial, data) VALUES (?, ?, ?, ?)", rows
        )
    connection.close()


def enlarge(folder: Path, rows: int) -> pd.DataFrame:
    """Give the run's snapshot ``rows`` trials with values of their own, as if its log had them."""
    run, rng = load_run(folder), np.random.default_rng(1)
    trials = run.trials.take(rng.integers(0, len(run.trials), rows)).reset_index(
        drop=True
    )
    trials["trial"] = pd.array(np.arange(rows), dtype="Int64")
    trials["arch_id"] = pd.array(
        [f"{number:012x}" for number in range(rows)], dtype="string"
    )
    trials["accuracy"], trials["latency_ms"] = (
        rng.uniform(size=rows),
        rng.uniform(1, 60, rows),
    )
    trials["flops"] = pd.array(rng.integers(10**6, 6 * 10**9, rows), dtype="Int64")
    write_snapshot(
        folder,
        Tables(trials, run.epochs, run.retrained),
        last_event(folder / "events.db"),
        run.facts,
    )
    return trials


def plain_front(df: pd.DataFrame) -> pd.DataFrame:
    costs = df[list(OBJECTIVES)].to_numpy(dtype=float) * [-1, 1, 1]
    left = np.arange(len(costs))
    place = 0
    while place < len(costs):
        keep = (costs < costs[place]).any(axis=1)
        keep[place] = True
        left, costs = left[keep], costs[keep]
        place = int(keep[:place].sum()) + 1
    return df.iloc[np.sort(left)]


def plain_hypervolume(
    points: np.ndarray[tuple[int, int], np.dtype[np.float64]], corner: list[float]
) -> float:
    """Slices along the third objective, each a staircase area; less is better."""
    points = points[np.argsort(points[:, 2])]
    heights = np.append(points[:, 2], corner[2])
    volume = 0.0
    for count in range(1, len(points) + 1):
        area, best = 0.0, corner[1]
        for x, y in sorted(map(tuple, points[:count, :2])):
            if y < best:
                area, best = area + (corner[0] - x) * (best - y), y
        volume += area * (heights[count] - heights[count - 1])
    return volume


def plain_replay(path: Path) -> pd.DataFrame:
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT trial, data FROM events WHERE trial IS NOT NULL"
        ).fetchall()
    connection.close()
    table = pd.DataFrame([json.loads(data) | {"trial": trial} for trial, data in rows])
    return table.groupby("trial").last()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_log(folder, trials=10_000, epochs=7)
        race(
            "replay 100,000 events",
            asked.rounds,
            lambda: load_run(folder),
            lambda: plain_replay(folder / "events.db"),
            5,
        )
        trials = enlarge(folder, asked.rows)
        trials.to_csv(folder / "trials.csv", index=False)
        race(
            f"load {asked.rows:,} trials",
            asked.rounds,
            lambda: load_run(folder),
            lambda: pd.read_csv(folder / "trials.csv"),
            1.5,
        )
    race(
        f"front of {asked.rows:,}",
        asked.rounds,
        lambda: pareto_front(trials, OBJECTIVES),
        lambda: plain_front(trials),
        2,
    )
    assert plain_front(trials).index.equals(pareto_front(trials, OBJECTIVES).index)
    sphere = np.abs(np.random.default_rng(2).normal(size=(1000, 3)))
    sphere = 1 - sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
    front = pd.DataFrame(sphere, columns=["a", "b", "c"])
    lows, corner = dict.fromkeys(front, "min"), dict.fromkeys(front, 1.1)
    race(
        "hypervolume of 1,000 in 3-D", asked.rounds,
        lambda: hypervolume(front, lows, corner), lambda: plain_hypervolume(sphere, [1.1] * 3), 0.1,
    )  # fmt: skip
    assert np.isclose(
        hypervolume(front, lows, corner), plain_hypervolume(sphere, [1.1] * 3)
    )


if __name__ == "__main__":
    main()
