"""A retraining on the terminal: a line that lives, or lines in a file."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan, nan
from typing import Any, Self

import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from evaluators import Metrics
from nas.cli.fitting import FittingTable
from nas.cli.progress import redraws
from nas.retraining.result import RetrainingResult
from results.wording import label, number

SHOWN = ("top1", "top5", "calibration_error", "validation_accuracy", "seconds")


OF_EPOCHS = (
    ("accuracy", "accuracy", ".4f"),
    ("train_loss", "loss", ".4f"),
    ("learning_rate", "lr", ".4f"),
    ("images_per_second", "images/s", ".0f"),
)
"""Of an epoch: metric, name and format."""


class View:
    """Tell it of epochs and notes; on a terminal the last line is that of the epoch."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._told = ""

    def epoch(self, seed: int, epochs: int, metrics: Metrics) -> None:
        text = " ".join(
            f"{name} {metrics[key]:{form}}"
            for key, name, form in OF_EPOCHS
            if key in metrics
        )
        line = f"seed {seed} epoch {metrics['epoch']}/{epochs} {text}"
        if redraws(self._console):
            done = int(metrics["epoch"])
            self._bar.update(self._task, description=line, completed=done, total=epochs)
        else:
            self._console.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def progress(self, what: str, done: int, total: int) -> None:
        self._bar.update(
            self._task, description=what, completed=done, total=total or None
        )
        self._say(what)

    def _say(self, what: str) -> None:
        """Where nothing is redrawn, what happens is told once, when it begins."""
        if what != self._told and not redraws(self._console):
            self._told = what
            self._console.print(what, soft_wrap=True)

    def __enter__(self) -> Self:
        if redraws(self._console):
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if redraws(self._console):
            self._bar.stop()


def agreement_table(agreement: pd.DataFrame) -> Table:
    """Rank correlations by epoch of the proxy, with their intervals."""
    table = FittingTable(
        title="Proxy against full training", title_justify="left", box=SIMPLE
    )
    for name in ("epoch", "Kendall's tau", "Spearman's rho"):
        table.add_column(name, justify="right")
    for row in agreement.to_dict("records"):
        cells = (_correlation(row, name) for name in ("kendall", "spearman"))
        table.add_row(str(row["epoch"]), *cells)
    return table


def proxies_table(table: pd.DataFrame) -> Table:
    """Candidates by how well they rank: ``results.statistics.proxies.compare_rankings``."""
    title = "Which short training to search with"
    shown = FittingTable(title=title, title_justify="left", box=SIMPLE)
    shown.add_column("training")
    agreements = "tau with itself", "tau with the truth", "beyond MACs"
    for name in ("seconds", "accuracy", "signal/noise", *agreements, "regret"):
        shown.add_column(name, justify="right")
    for row in table.to_dict("records"):
        shown.add_row(
            str(row["proxy"]),
            f"{row['seconds']:.1f}",
            f"{row['accuracy']:.1%}",
            _two_digits(row["signal"] / row["noise"] if row["noise"] else nan),
            _two_digits(row["with_itself"]),
            _correlation(row, "with_truth"),
            _two_digits(row["beyond_macs"]),
            "\N{EN DASH}" if isnan(row["regret"]) else f"{row['regret']:.1%}",
        )
    return shown


def _two_digits(value: float) -> str:
    return "\N{EN DASH}" if isnan(value) else f"{value:.2f}"


def _correlation(row: Mapping[Any, Any], name: str) -> str:
    lower = row[f"{name}_lower"]
    upper = row[f"{name}_upper"]
    between = "" if isnan(lower) else f" ({lower:.2f} to {upper:.2f})"
    return "\N{EN DASH}" if isnan(row[name]) else f"{row[name]:.2f}{between}"


def retrained_table(found: RetrainingResult) -> Table:
    """A row per seed, and their mean and spread."""
    names = [name for name in SHOWN if name in found.mean]
    table = FittingTable(title="On the test images", title_justify="left", box=SIMPLE)
    table.add_column("seed")
    for name in names:
        table.add_column(label(name), justify="right")
    for row in found.seeds.to_dict("records"):
        values = (number(name, row[name]) for name in names)
        table.add_row(str(row["seed"]), *values)
    if found.spread:
        means = (number(name, found.mean[name]) for name in names)
        table.add_row("mean", *means)
        table.add_row(
            "deviation", *(number(name, found.spread[name]) for name in names)
        )
    return table
