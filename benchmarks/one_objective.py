"""One objective, a tight limit, three families: does a search find the right family, and a good network in it?

    python benchmarks/one_objective.py [--samplers random tpe evolution evolution/families]
        [--seeds 16] [--lines FILE] [--print]

The world comes from the contest of pick.py: a forest learned from all networks that its first two searches trained
to the end (``nas.emulator``). Each search has what those had, 54 minutes of one worker, and no stopper. Its four
most accurate networks are the finalists; a long training is taken to show what the world expects of each, all but
the noise of one training, and the best is the search's pick. ``evolution/families`` begins as if there were one
family.

Columns, per cent: ``pick``, its standard error over seeds, the worst seed's; ``tried``, the best of all networks
tried, had one known; ``resnests``, their share of what was tried (RegNetYs and FBNetV2s are 10 points behind); and
``stuck``, searches that picked another family. Each search is a line of ``--lines``, made anew where the code that
decides has changed.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
from ablations import without
from searchers import Search, code_of
from threadpoolctl import threadpool_limits

from nas.config.loading import load_config
from nas.config.schema import SearchConfig
from nas.runs.folder import task_of
from nas.samplers.proposer import Proposal, Proposer
from nas.samplers.registry import make_sampler
from nas.simulation.emulator import Emulator
from nas.simulation.simulator import simulate
from nas.simulation.virtual_cluster import Cluster
from nas.stopper.asha import NoStopping
from results import load_run
from search_spaces import Arch

RUNS = [Path(__file__).parent / "pick" / name for name in ("product-0", "tune-0")]
SAMPLERS = {"tpe": "optuna.samplers:TPESampler"}
LINES = Path("docs/evidence/one_objective.jsonl")
HOURS = 0.9
FINALISTS = 4


@cache
def world() -> tuple[Emulator, SearchConfig]:
    """What the searches measured, pooled; a network that both trained counts once."""
    runs = [load_run(path) for path in RUNS]
    apart = [10_000 * number for number, _ in enumerate(runs)]

    def pooled(tables: list[pd.DataFrame]) -> pd.DataFrame:
        numbered = (
            table.assign(trial=table["trial"] + first)
            for table, first in zip(tables, apart, strict=True)
        )
        return pd.concat(numbered, ignore_index=True)

    complete = pooled([run.complete for run in runs]).drop_duplicates("arch_id")
    epochs = pooled([run.epochs for run in runs])
    both: Any = SimpleNamespace(complete=complete, epochs=epochs, path=RUNS[0])
    config = load_config(str(RUNS[0] / "config.yaml"))
    task = task_of(RUNS[0])
    assert task is not None
    return Emulator(both, config.search_space, task), config


class Remembering(Proposer):
    """Knows afterwards which trial was which network."""

    def __init__(self, *what: Any, **more: Any) -> None:
        super().__init__(*what, **more)
        self.archs: dict[int, Arch] = {}

    def ask(self) -> Proposal | None:
        proposal = super().ask()
        if proposal:
            self.archs[proposal.trial] = proposal.arch
        return proposal


def search_of(name: str, seed: int) -> Search:
    return Search(RUNS[0], name, "none", seed)


def searched(name: str, seed: int) -> dict[str, Any]:
    base, _, part = name.partition("/")
    told = {"sampler": name, "seed": seed, "code": code_of(search_of(name, seed))}
    with without(part):
        return told | outcome(base, seed)


def outcome(name: str, seed: int) -> dict[str, Any]:
    emulator, config = world()
    proposer = Remembering(
        emulator.space,
        config.objectives,
        make_sampler(SAMPLERS.get(name, name), seed, {}),
        seed,
        task=emulator.task,
        limits=config.limits,
    )
    found = simulate(
        proposer, NoStopping(), emulator, Cluster(1), hours=HOURS, seed=seed
    ).trials
    complete = found[found["status"] == "complete"]
    ranked = complete.sort_values("accuracy", ascending=False)["trial"]
    expected = {
        trial: emulator.expected(proposer.archs[trial]).accuracy[-1] for trial in ranked
    }
    pick = max(ranked[:FINALISTS], key=lambda trial: expected[trial])
    spaces = pd.Series([proposer.archs[trial].space for trial in ranked])
    return {
        "tried": len(ranked),
        "pick": round(expected[pick], 5),
        "family": proposer.archs[pick].space,
        "best_tried": round(max(expected.values()), 5),
        "resnests": round(float((spaces == "resnest").mean()), 3),
    }


def table(lines: list[dict[str, Any]]) -> pd.DataFrame:
    rows = pd.DataFrame(lines)
    rows["stuck"] = rows["family"] != "resnest"
    by_sampler = rows.groupby("sampler")
    picks = 100 * by_sampler["pick"].agg(["mean", "sem", "min"])
    shown = picks.set_axis(["pick", "+-", "worst"], axis=1)
    shown["tried"] = 100 * by_sampler["best_tried"].mean()
    shown["resnests"] = 100 * by_sampler["resnests"].mean()
    shown["networks"] = by_sampler["tried"].mean()
    shown["stuck"] = by_sampler["stuck"].sum()
    shown["seeds"] = by_sampler.size()
    return shown.sort_values("pick", ascending=False).round(2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samplers", nargs="+", default=["random", "tpe", "evolution"])
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--lines", type=Path, default=LINES)
    parser.add_argument("--print", action="store_true", help="search nothing")
    asked = parser.parse_args()
    text = asked.lines.read_text() if asked.lines.exists() else ""
    lines = [json.loads(line) for line in text.splitlines()]
    known = {(line["sampler"], line["seed"]): line for line in lines}
    with threadpool_limits(1), asked.lines.open("a") as file:
        for seed, name in product(range(asked.seeds), asked.samplers):
            before = known.get((name, seed), {})
            if asked.print or before.get("code") == code_of(search_of(name, seed)):
                continue
            known[name, seed] = searched(name, seed)
            print(json.dumps(known[name, seed]), file=file, flush=True)
    print(table([*known.values()]).to_string())


if __name__ == "__main__":
    main()
