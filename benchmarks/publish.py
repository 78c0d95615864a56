"""Put the tables of finished runs into a folder for others: no log, no checkpoints, no path of this machine.

    python benchmarks/publish.py results/fronts/cifar10-small runs/search
    python benchmarks/publish.py benchmarks/splatbench runs/random runs/search --complete

Several runs, which must compare (``results.load_runs``), become one; ``--complete`` keeps what was trained to the
end alone. ``load_run(folder)`` reads it, and so do ``front``, ``report``, ``select`` and ``simulate``.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from results import Run, load_run, load_runs, write_atomic
from results.runs.snapshot import write_snapshot
from results.runs.tables import Tables


def pooled(runs: list[Run], complete: bool) -> Tables:
    """The tables one below the other, trials numbered on."""
    tables, offset = [], 0
    for run in runs:
        rows = run.complete if complete else run.trials
        parts = (
            rows,
            run.epochs[run.epochs["trial"].isin(rows["trial"])],
            # where a model lies is this machine's business
            run.retrained.drop(columns="folder", errors="ignore"),
        )
        tables.append([part.assign(trial=part["trial"] + offset) for part in parts])
        offset += int(run.trials["trial"].max()) + 1
    return Tables(
        *(pd.concat(parts, ignore_index=True) for parts in zip(*tables, strict=True))
    )


def settings_of(run: Run) -> dict[str, Any]:
    """Without what only holds on the machine that searched."""
    config = run.config | {"storage": None, "start_from": []}
    config["data"] = config["data"] | {"root": None, "cache": None}
    config["ray"] = config["ray"] | {"address": "local", "runtime_env": {}}
    return config


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--complete", action="store_true")
    asked = parser.parse_args()
    try:
        load_runs(asked.runs)
    except ValueError as error:
        parser.error(str(error))
    runs = [load_run(path) for path in asked.runs]
    config = settings_of(runs[0])
    facts = {
        "objectives": runs[0].objectives,
        "config": config,
        "ended": runs[0].ended,
        "seconds": sum(run.seconds for run in runs),
    }
    tables = pooled(runs, asked.complete)
    if asked.complete:
        # what a simulation of it takes for its size
        config["trials"] = len(tables.trials)
    asked.out.mkdir(parents=True, exist_ok=True)
    write_snapshot(asked.out, tables, None, facts)
    write_atomic(asked.out / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    shutil.copyfile(asked.runs[0] / "environment.json", asked.out / "environment.json")
    found = load_run(asked.out)
    print(
        f"{len(found.trials)} trials, {len(found.complete)} complete, {len(found.front())} on the front"
    )


if __name__ == "__main__":
    main()
