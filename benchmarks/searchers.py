"""Which sampler, and does stopping early pay? Searches in the world of recorded runs, by hypervolume.

    python benchmarks/searchers.py benchmarks/splatbench results/fronts/cifar10-small-random
        [--samplers random evolution nsga2,population_size=20 botorch] [--stoppers none moasha,eta=2,min_epochs=3]
        [--seeds 20] [--share 0.3] [--lines FILE] [--print] [--figure FILE.html]

A run folder holds networks trained to the end: an emulator learns from it (``nas.emulator``), and proposer and
stopper search there under the virtual clock, four trials at once. Cost is the time of training, in units of what
200 of the run's networks took on average; ``--share`` ends searches sooner. The goal is what random search without
stopping ends with at a cost of 1, the median of its seeds. Peers that are no part of SplitSearch are installed by
``pip install --no-deps --target peers -r benchmarks/peers.txt`` and found with ``PYTHONPATH=peers``.

Each search is a line of ``--lines``. Searches that are there are not made again unless the code that decides,
or the run, has changed, so a call that was interrupted goes on. ``--print`` makes none at all. The table, of
the samplers named, is that of ``searchers_table.py``; a second one has all runs together. All of it holds for
these worlds.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ablations import without
from peer_samplers import PEER_SAMPLERS, peer_sampler
from peers import OTHERS
from searchers_figure import figure
from searchers_table import BASELINE, POINTS, Record, goal_of, pooled, read, shown
from threadpoolctl import threadpool_limits

import nas
from nas.config.loading import load_config
from nas.config.schema import SearchConfig
from nas.samplers.proposer import Proposal, Proposer, Proposing
from nas.simulation.emulator import Emulator
from nas.simulation.simulator import simulate
from nas.simulation.virtual_cluster import Cluster
from nas.simulation.what_if import parse_stopper, searching
from nas.simulation.workload import Workload
from nas.stopper.asha import Stopper
from results import load_run
from search_spaces.knobs import Knobs
from search_spaces.sampling.limits import LIMITED

SAMPLERS = ["random", "nsga2,population_size=20", "tpe", "evolution"]
LINES = Path("docs/evidence/searchers.jsonl")
INSTALL = "pip install --no-deps --target peers -r benchmarks/peers.txt"
TRAININGS = 200
WORKERS = 4


class Search(NamedTuple):
    run: Path
    sampler: str
    stopper: str
    seed: int


@cache
def world(run: Path) -> tuple[Emulator, SearchConfig]:
    """Once per process: the forest is the same for all searches."""
    config = load_config(str(run / "config.yaml"))
    measured = [
        name for name in config.objectives if name not in ("accuracy", *LIMITED)
    ]
    return Emulator.of_folder(run, measured), config


def options_of(words: list[str]) -> dict[str, int]:
    return {
        key: int(value) for key, _, value in (word.partition("=") for word in words)
    }


def made(search: Search) -> tuple[Proposing, Stopper, Workload]:
    """Proposer, stopper and workload of a search."""
    emulator, config = world(search.run)
    name, *options = search.sampler.split(",")
    ours = name not in OTHERS and name not in PEER_SAMPLERS
    source = searching(
        emulator, config, search.sampler if ours else "random", search.seed
    )
    proposer, workload = source.make()
    if other := OTHERS.get(name):
        proposer = other(config, emulator, search.seed)
    elif name in PEER_SAMPLERS:
        assert config.reference_point is not None
        sampler = peer_sampler(
            name, search.seed, config.reference_point, **options_of(options)
        )
        proposer = Proposer(
            emulator.space,
            config.objectives,
            sampler,
            search.seed,
            task=emulator.task,
            limits=config.limits,
        )
    name, *options = search.stopper.split(",")
    if other := OTHERS.get(name):
        return proposer, other(config, search.seed, **options_of(options)), workload
    return proposer, parse_stopper(search.stopper, source), workload


class Timed:
    """A proposer, with the processor's time that it took."""

    def __init__(self, proposer: Proposing) -> None:
        self._proposer = proposer
        self.seconds = 0.0
        self.proposals = 0

    @property
    def objectives(self) -> Any:
        return self._proposer.objectives

    def knobs(self, arch: Any) -> Knobs:
        return self._proposer.knobs(arch)

    def ask(self) -> Proposal | None:
        started = time.process_time()
        proposal = self._proposer.ask()
        self.seconds += time.process_time() - started
        self.proposals += 1
        return proposal

    def tell(self, trial: int, status: str, metrics: Any) -> None:
        started = time.process_time()
        self._proposer.tell(trial, status, metrics)
        self.seconds += time.process_time() - started


def run_search(search: Search, hours: float, share: float) -> Record:
    base, _, part = search.sampler.partition("/")
    with without(part):
        proposer, stopper, workload = made(search._replace(sampler=base))
        return measured(search, Timed(proposer), stopper, workload, hours * share)


def measured(
    search: Search, proposer: Timed, stopper: Stopper, workload: Workload, hours: float
) -> Record:
    config = world(search.run)[1]
    assert config.reference_point is not None
    cluster, seed = Cluster(WORKERS), search.seed
    found = simulate(proposer, stopper, workload, cluster, seed=seed, hours=hours)
    points = round(POINTS * hours / hours_of(search.run))
    timeline = found.timeline(config.objectives, config.reference_point, points)
    return Record(
        search.run.name,
        search.sampler,
        search.stopper,
        search.seed,
        timeline["hypervolume"].to_numpy(),
        code=code_of(search),
        seconds=proposer.seconds / proposer.proposals,
    )


@cache
def hours_of(run: Path) -> float:
    """What so many of the run's networks took, on average, to be trained to the end."""
    found = load_run(run)
    seconds = found.epochs.groupby("trial")["seconds"].sum()
    mean = seconds[seconds.index.isin(found.complete["trial"])].mean()
    return float(mean * TRAININGS / WORKERS / 3600)


def code_of(search: Search) -> str:
    """Names the run and the code that decides: a kept search is worth nothing where either has changed."""
    package = Path(nas.__file__).parent
    name = re.split("[,/]", search.sampler)[0]
    if name == "evolution":
        deciding = [*(package / "samplers").glob("*.py")]
    elif name in PEER_SAMPLERS:
        deciding = [Path(__file__).parent / "peer_samplers" / f"with_{name}.py"]
    else:
        deciding = [package / "samplers/optuna.py", package / "samplers/proposer.py"]
    simulating = [*(package / "simulation").glob("*.py")]
    recorded = [*search.run.glob("*.parquet"), search.run / "config.yaml"]
    return _digest(tuple(sorted([*deciding, *simulating])), tuple(sorted(recorded)))


@cache
def _digest(code: tuple[Path, ...], data: tuple[Path, ...]) -> str:
    # as a syntax tree: comments and layout decide nothing
    trees = (ast.dump(ast.parse(file.read_text())).encode() for file in code)
    parts = [*trees, *(file.read_bytes() for file in data)]
    return sha256(b"".join(parts)).hexdigest()[:12]


def missing(asked: argparse.Namespace) -> Iterator[Search]:
    """What was asked for and is not in the lines."""
    known = {record.key: record for record in read(asked.lines)}
    pairs = [BASELINE, *product(asked.samplers, asked.stoppers)]
    for seed, run, pair in product(
        range(asked.first_seed, asked.seeds), asked.runs, dict.fromkeys(pairs)
    ):
        search = Search(run, *pair, seed)
        record = known.get((run.name, *pair, seed))
        share = 1.0 if pair == BASELINE else asked.share
        if record is None or record.code != code_of(search) or record.share < share:
            yield search


def measure(asked: argparse.Namespace) -> None:
    searches = [*missing(asked)]
    # forests are grown before the pool: the processes share them
    for run in asked.runs:
        world(run)
    pool = ProcessPoolExecutor(asked.jobs, initializer=threadpool_limits, initargs=(1,))
    with pool, asked.lines.open("a") as lines:
        waiting = {
            pool.submit(
                run_search,
                search,
                hours_of(search.run),
                1.0 if search[1:3] == BASELINE else asked.share,
            )
            for search in searches
        }
        for done in as_completed(waiting):
            print(json.dumps(done.result().line), file=lines, flush=True)


def asked_for() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+")
    add("--samplers", nargs="+", default=SAMPLERS)
    add("--stoppers", nargs="+", default=["none"])
    add("--seeds", type=int, default=20)
    add("--first-seed", type=int, default=0)
    add("--share", type=float, default=1.0, help="of the cost, where searches end")
    add("--at", type=float, default=0.3, help="share of the cost that is compared")
    add("--lines", type=Path, default=LINES)
    add("--jobs", type=int, default=os.cpu_count())
    add("--print", action="store_true", help="measure nothing")
    add("--figure", type=Path, help="of the first run, as HTML")
    asked = parser.parse_args()
    try:
        for run, sampler, stopper in product(
            asked.runs, asked.samplers, asked.stoppers
        ):
            if world(run)[1].reference_point is None:
                parser.error(f"{run}/config.yaml: needs a reference_point")
            if not asked.print:
                base, _, part = sampler.partition("/")
                with without(part):
                    made(Search(run, base, stopper, 0))
    except ModuleNotFoundError as error:
        parser.error(f"{error}; peers are installed by {INSTALL}")
    except ValueError as error:
        parser.error(str(error))
    return asked


def main() -> None:
    asked = asked_for()
    if not asked.print:
        measure(asked)
    names = {"random", "evolution", *asked.samplers}
    known = [record for record in read(asked.lines) if record.sampler in names]
    goals = {}
    for run in asked.runs:
        emulator, _ = world(run)
        records = [record for record in known if record.run == run.name]
        goals[run.name] = goal_of(records)
        print(f"\n{run}: the emulator ranks left-out networks at tau", end=" ")
        print(f"{emulator.rank_agreement:.2f}")
        table = shown(records, goals[run.name], asked.at, np.random.default_rng(0))
        print(table.to_string(index=False))
        if asked.figure and run == asked.runs[0]:
            names = table["sampler"] + ", " + table["stopper"]
            asked.figure.write_text(
                figure(records, [it.removesuffix(", none") for it in names])
            )
    if len(goals) > 1:
        print("\nall together, on the way there, per cent of the goal:")
        print(pooled(known, goals, asked.at).to_string(index=False))


if __name__ == "__main__":
    main()
