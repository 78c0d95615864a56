"""What ``learn_from`` and ``prefer`` are worth to ``evolution``, and what they cost where they mislead.

    python benchmarks/knowledge.py benchmarks/splatbench [--seeds 20 40] [--share 0.3] [--lines FILE] [--print]

Searches as those of ``searchers.py``, in the world of a recorded run. The earlier run has 60 random networks,
others for every seed, that were trained half as long; in the misleading one the same values belong to other
networks. The right belief is what most of the world's best networks have in common, the wrong one its
contrary. What is left to learn: a surrogate that is told what the world expects of every network, all but the
noise of a training. Seeds from 20 on: how much beliefs count was chosen on those before.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import searchers
from searchers import Search, Timed, code_of, hours_of, measured, world
from searchers_table import Record, goal_of, read, shown

from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.samplers.surrogate import Candidate, Posterior
from nas.simulation.emulator import Emulator
from nas.stopper.asha import NoStopping
from results import load_run
from results.columns import Array
from results.runs.snapshot import write_snapshot
from results.runs.tables import Tables

EARLIER = 60
"""Networks of the earlier run."""
LINES = Path("docs/evidence/knowledge.jsonl")
RIGHT = {"deep_stem": True, "radix": 0, "cardinality": 1}
WRONG = {"deep_stem": False, "radix": 4, "cardinality": 4}
TOLD = {
    "told accuracies": ["accuracy"],
    "told latencies": ["latency_ms"],
    "told both": ["accuracy", "latency_ms"],
}
VARIANTS = (
    "as it is",
    "helpful run",
    "misleading run",
    "right belief",
    "wrong belief",
    *TOLD,
)


def earlier_run(run: Path, folder: Path, seed: int, *, misleading: bool) -> str:
    """A run folder of random networks trained for half of the epochs."""
    emulator, config = world(run)
    rng = np.random.default_rng([seed, EARLIER])
    window = {name: (it.min, it.max) for name, it in config.limits.items()}
    archs = emulator.space.samples(rng, window, emulator.task)
    epochs = emulator.epochs // 2
    rows = []
    for trial, arch in zip(range(EARLIER), archs, strict=False):
        found = emulator.trajectory(arch)
        told = {"accuracy": found.accuracy[epochs - 1], "epochs": epochs}
        names = {"trial": trial, "arch_id": arch.id, "status": "complete"}
        rows.append(names | told | found.costs | {"arch": json.dumps(arch.to_dict())})
    table = pd.DataFrame(rows)
    if misleading:
        columns = ["accuracy", *emulator.measured]
        table[columns] = table[columns].to_numpy()[rng.permutation(len(table))]
    recorded = load_run(run)
    facts = {
        "objectives": recorded.objectives,
        "config": recorded.config,
        "ended": recorded.ended,
        "seconds": recorded.seconds,
    }
    folder.mkdir()
    write_snapshot(
        folder, Tables(table, recorded.epochs[:0], pd.DataFrame()), None, facts
    )
    return str(folder)


def options_of(variant: str, run: Path, folder: Path, seed: int) -> dict[str, object]:
    if variant.endswith("run"):
        misleading = variant.startswith("misleading")
        return {"learn_from": [earlier_run(run, folder, seed, misleading=misleading)]}
    if variant.endswith("belief"):
        return {"prefer": RIGHT if variant.startswith("right") else WRONG}
    return {}


@contextmanager
def knowing(emulator: Emulator, metrics: Sequence[str]) -> Iterator[None]:
    """The surrogate's guesses at ``metrics`` give way to what the world expects."""
    guessed = Posterior._values
    known: dict[str, dict[str, float]] = {}

    def expected(network: Candidate) -> dict[str, float]:
        if network.arch.id not in known:
            curve = emulator.expected(network.arch)
            known[network.arch.id] = {**curve.costs, "accuracy": curve.accuracy[-1]}
        return known[network.arch.id]

    def values(
        self: Posterior,
        networks: Sequence[Candidate],
        pending: Sequence[Candidate],
        levels: Array,
    ) -> dict[str, Array]:
        found = guessed(self, networks, pending, levels)
        for name in metrics:
            sure = np.array([expected(network)[name] for network in networks])
            found[name] = np.broadcast_to(sure, (len(levels), len(networks)))
        return found

    with patch.object(Posterior, "_values", values):
        yield


def searched(run: Path, variant: str, seed: int, share: float) -> Record:
    emulator, config = world(run)
    with tempfile.TemporaryDirectory() as folder:
        options = options_of(variant, run, Path(folder) / "earlier", seed)
        sampler = make_sampler("evolution", seed, options)
        proposer = Proposer(
            emulator.space,
            config.objectives,
            sampler,
            seed,
            task=emulator.task,
            limits=config.limits,
        )
    search, hours = search_of(run, variant, seed), hours_of(run) * share
    with knowing(emulator, TOLD.get(variant, [])):
        return measured(search, Timed(proposer), NoStopping(), emulator, hours)


def search_of(run: Path, variant: str, seed: int) -> Search:
    name = "evolution" + (f", {variant}" if variant != VARIANTS[0] else "")
    return Search(run, name, "none", seed)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--seeds", type=int, nargs=2, default=[20, 40])
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--lines", type=Path, default=LINES)
    parser.add_argument("--random", type=Path, default=searchers.LINES, help="the goal")
    parser.add_argument("--print", action="store_true", help="measure nothing")
    asked = parser.parse_args()
    known = {record.key: record.code for record in read(asked.lines)}
    with asked.lines.open("a") as lines:
        for seed in range(*asked.seeds) if not asked.print else ():
            for variant in VARIANTS:
                search = search_of(asked.run, variant, seed)
                key = asked.run.name, *search[1:]
                if known.get(key) != code_of(search):
                    record = searched(asked.run, variant, seed, asked.share)
                    print(json.dumps(record.line), file=lines, flush=True)
    goal = goal_of([it for it in read(asked.random) if it.run == asked.run.name])
    rng = np.random.default_rng(0)
    table = shown(read(asked.lines), goal, asked.share, rng)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
