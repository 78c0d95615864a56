"""Does the product find a better network than what a good engineer would do instead, at the same total cost?

    python benchmarks/pick.py search CIFAR product|sized|random|tune [--seed 0] [--hours 1.5]
    python benchmarks/pick.py final CIFAR [--seeds 3] [--epochs 5] [--only "by hand" product-0]
    python benchmarks/pick.py table [--figure FILE.html]

CIFAR is a folder with CIFAR-10 as train.parquet and test.parquet. Every contender names one network of at most
13.03 million MACs, which the network drawn by hand has. Three of them search (pick.yaml; ``--hours`` are of one
core, finalists included), with the same short trainings and the same finalists:

- ``product``: the default sampler and stopper;
- ``sized``: the product's search of that seed, once it is over; its finalists are chosen with ``size_gain``
  (what the referee took to find that out is in no one's hours);
- ``random``: random networks, none stopped;
- ``tune``: what Ray's OptunaSearch and ASHAScheduler decide, which is Optuna's TPE and Ray's rungs by accuracy.
  Here they are told of the limit, and of stopped trials, which in Ray they would not be.

Four are drawn: the network that was written by hand before there was a search, and the best known proportions of
each family scaled to the budget (``splitsearch spaces --suggest``).

``final`` trains all that are there by one recipe with several seeds and tests each training once. Everything goes
on where it was killed; picks and tests are lines of files in benchmarks/pick, the rest lies in runs/pick.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from ray.tune.schedulers import ASHAScheduler
from scipy import stats

from nas import resume, retrain, search
from nas.config.loading import load_config
from nas.finalists.finalists import finalists
from nas.listeners import Listener
from nas.stopper.asha import NoStopping
from results import Event, load_run, write_atomic
from search_spaces import Task, arch_from_dict, complexity
from search_spaces.proportions import suggest

HERE = Path(__file__).parent
RUNS = Path("runs/pick")
PICKS, TESTS = HERE / "pick" / "picks.json", HERE / "pick" / "tests.json"
TASK = Task(num_classes=10, resolution=32, channels=3, small_images=True)
MACS = 5e6, 13.03e6
SEARCHES: dict[str, list[str]] = {
    "product": [],
    "sized": [],
    "random": ["sampler=random", "stopper=none"],
    "tune": [
        "sampler=optuna.samplers:TPESampler",
        "stopper={name: 'pick:RayASHA', min_epochs: 3, eta: 2}",
    ],
}
BY_HAND = {
    "space": "resnest",
    "depths": [1, 1, 1, 1],
    "widths": [8, 16, 32, 64],
    "radix": 2,
    "stem_width": 16,
    "deep_stem": False,
}
SEARCHING = 0.6
"""Of the hours; the rest is about what the finalists take."""
SIZE_GAIN = 0.015
"""What ``benchmarks/referee.py judge`` says of the proxy that is searched with."""


class RayASHA(NoStopping):
    """``ASHAScheduler`` by accuracy: it knows one metric."""

    def __init__(
        self, objectives: Any, max_epochs: int, min_epochs: int, eta: int
    ) -> None:
        self.scheduler = ASHAScheduler(
            "epoch", "accuracy", "max", max_epochs, min_epochs, eta
        )
        self.known: dict[int, Any] = {}
        self.max_epochs = max_epochs
        self.tune: Any = None  # its controller, which neither call looks at

    def report(self, trial: int, epoch: int, metrics: Any) -> Any:
        if trial not in self.known:
            self.known[trial] = SimpleNamespace(trial_id=str(trial))
            self.scheduler.on_trial_add(self.tune, self.known[trial])
        result = {**metrics, "epoch": epoch}
        decision = self.scheduler.on_trial_result(self.tune, self.known[trial], result)
        # Ray "stops" also what has come to its end
        return "continue" if epoch >= self.max_epochs else decision.lower()


class Meter:
    """Counts the processor seconds of a contender over all its sessions; Ctrl-C at the limit, once."""

    def __init__(self, path: Path, limit: float = float("inf")) -> None:
        self.path, self.limit = path, limit
        self.before = float(path.read_text()) if path.exists() else 0.0
        self.started = time.process_time()

    @property
    def seconds(self) -> float:
        return self.before + time.process_time() - self.started

    def __call__(self, event: Event) -> None:
        write_atomic(self.path, f"{self.seconds:.1f}")
        if self.seconds > self.limit:
            self.limit = float("inf")  # the search's last event comes here too
            signal.raise_signal(signal.SIGINT)  # the orderly end of a search


def read(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text()) if path.exists() else []


def keep(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(rows, indent=1) + "\n")


def run_search(asked: argparse.Namespace) -> None:
    """Search, train the finalists, keep the best of them by validation."""
    folder = RUNS / f"{asked.contender}-{asked.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    spent, run = folder / "seconds", folder / "run"
    limit = asked.hours * 3600 * SEARCHING
    how = ["engine=serial"]
    if asked.contender == "sized":
        how.append(f"size_gain={SIZE_GAIN}")
        if not run.exists():
            take_over(RUNS / f"product-{asked.seed}/run", run)
            write_atomic(spent, f"{limit:.1f}")
    meter = Meter(spent, limit)
    if meter.seconds < limit:
        searched(asked, run, [meter])
    meter = Meter(spent)
    outcome = finalists(run, overrides=how, listeners=[meter], note=print)
    networks = outcome.networks[outcome.networks["status"] == "complete"]
    best = networks.sort_values("accuracy", ascending=False).iloc[0]
    rows = [row for row in read(PICKS) if row["contender"] != folder.name]
    found = {
        "contender": folder.name,
        "arch": json.loads(best["arch"]),
        "cpu_seconds": round(meter.seconds),
        "networks": int((load_run(run).trials["status"] != "duplicate").sum()),
        "proxy_accuracy": best["proxy_accuracy"],
        "accuracy": best["accuracy"],
    }
    keep(PICKS, [*rows, found])
    print(found)


def take_over(search: Path, run: Path) -> None:
    """The search, without its finalists, in a folder of its own."""
    if load_run(search).ended is None:
        raise SystemExit(f"{search}: is not over yet")
    shutil.copytree(search, run, ignore=shutil.ignore_patterns("finalists"))


def searched(asked: argparse.Namespace, run: Path, listeners: list[Listener]) -> None:
    if (run / "events.db").exists():
        resume(run, listeners=listeners, serial=True)
        return
    settings = [*SEARCHES[asked.contender], f"seed={asked.seed}"]
    settings.append(f"data.root={asked.folder.resolve()}")
    config = load_config(str(HERE / "pick.yaml"), settings)
    search(config, run, listeners, serial=True)


def drawn() -> list[dict[str, Any]]:
    """Contenders that cost nothing to find."""
    found = [{"contender": "by hand", "arch": BY_HAND}]
    for family in ("resnest", "regnety", "fbnetv2"):
        name, arch = suggest(family, {"macs": MACS}, TASK)
        found.append({"contender": f"{name}, scaled", "arch": arch.to_dict()})
    return found


def final(asked: argparse.Namespace) -> None:
    """Every pick by one recipe, every seed tested once."""
    for row in [*drawn(), *read(PICKS)]:
        name, arch = row["contender"], arch_from_dict(row["arch"])
        if asked.only and name not in asked.only:
            continue
        folder = RUNS / "final" / arch.id
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "arch.json"
        write_atomic(source, json.dumps(arch.to_dict()))
        meter = Meter(folder / "seconds")
        result = retrain(
            source,
            folder / "model",
            note=print,
            data="cifar10",
            overrides=[
                f"data.root={asked.folder.resolve()}",
                "data.validation=0.1",
                f"epochs={asked.epochs}",
                f"seeds={asked.seeds}",
                "engine=serial",
                "optimizer=muon",
                "schedule=one_cycle",
                "warmup_epochs=0",
                "precision=bfloat16",
                "augment={shift: 4, flip: true}",
            ],
        )
        found = {
            "contender": name,
            "arch_id": arch.id,
            "macs": complexity(arch, TASK).macs,
            "params": complexity(arch, TASK).params,
            "epochs": asked.epochs,
            "top1": result.seeds["top1"].tolist(),
            "cpu_seconds": round(meter.seconds),
        }
        rows = [row for row in read(TESTS) if row["contender"] != name]
        keep(TESTS, [*rows, found])
        print(found, flush=True)


def table(asked: argparse.Namespace) -> None:
    rows = pd.DataFrame(read(TESTS))
    tested = rows["top1"].to_list()
    rows["mean"] = [np.mean(each) for each in tested]
    rows["error"] = [stats.sem(each) for each in tested]
    shown = rows.sort_values("mean", ascending=False).drop(columns="arch_id")
    print(shown.round(4).to_string(index=False))
    if asked.figure:
        asked.figure.write_text(figure(shown[::-1]))


def figure(rows: pd.DataFrame) -> str:
    """A page of HTML: every training tested, and means with their standard errors, contender by contender."""
    chart = go.Figure()
    tested = rows.explode("top1")
    small = {"color": "hsl(210, 50%, 70%)", "size": 7}
    chart.add_scatter(
        x=100 * tested["top1"],
        y=tested["contender"],
        mode="markers",
        marker=small,
        name="a training",
    )
    chart.add_scatter(
        x=100 * rows["mean"],
        y=rows["contender"],
        mode="markers",
        marker={"color": "hsl(210, 70%, 35%)", "size": 10, "symbol": "diamond"},
        error_x={"array": 100 * rows["error"]},
        name="mean, standard error",
    )
    chart.update_xaxes(title_text="test images right, per cent")
    chart.update_layout(
        width=900,
        height=160 + 36 * len(rows),
        template="plotly_white",
        margin={"t": 20, "l": 60, "r": 20, "b": 50},
    )
    return str(chart.to_html(config={"displayModeBar": False}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    searching = commands.add_parser("search")
    searching.add_argument("folder", type=Path)
    searching.add_argument("contender", choices=SEARCHES)
    searching.add_argument("--seed", type=int, default=0)
    searching.add_argument("--hours", type=float, default=1.5, help="of one core")
    searching.set_defaults(run=run_search)
    training = commands.add_parser("final")
    training.add_argument("folder", type=Path)
    training.add_argument("--seeds", type=int, default=3)
    training.add_argument("--epochs", type=int, default=5)
    training.add_argument("--only", nargs="+", help="contenders by name [default: all]")
    training.set_defaults(run=final)
    printing = commands.add_parser("table")
    printing.add_argument("--figure", type=Path, help="as HTML")
    printing.set_defaults(run=table)
    asked = parser.parse_args()
    asked.run(asked)


if __name__ == "__main__":
    main()
