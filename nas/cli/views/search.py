"""What a person sees during a search: one live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TextIO, cast

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from evaluators.data.progress import Progress
from nas.cli.fitting import FittingTable
from nas.cli.naming import called_trial
from nas.cli.progress import PLAIN_LINE_SECONDS, redraws
from nas.cli.terminal import LastingOutput
from nas.cli.waiting import told_of_waits
from nas.config.schema import SearchConfig
from nas.listeners import Listener
from results import Event, TrialStatus
from results.log.events import (
    EpochEnded,
    Finished,
    Lost,
    Noted,
    Promoted,
    Proposed,
    SearchFinished,
    SearchStarted,
)
from results.log.record import TrialRecord
from results.log.salvage import usable_events
from results.objectives import Objectives
from results.pareto.archive import FrontArchive
from results.runs.loading import seconds_worked
from results.wording import duration, number, with_unit

OTHER_LINES = 6
"""Of a live view, beside those of the trials that run."""
MANY_TRIALS = 500
"""Trials of which tables, study.db and report take seconds to write."""


@contextmanager
def watched(
    config: SearchConfig, folder: Path | None, console: Console
) -> Iterator[tuple[list[Listener], Progress]]:
    """A view as ``nas.search`` takes it; ``folder`` is the run that is gone on with, if any."""
    with SearchView(config, console) as view, told_of_waits(console):
        if folder:
            view.recall(usable_events(folder / "events.db"))
        yield [view], view.data


class SearchView:
    """A listener of the controller; use it as a context manager around the search.

    ``recall`` lets it know of what an earlier run of the search logged.
    """

    opening = "starting workers, drawing the first networks"

    def __init__(self, config: SearchConfig, console: Console) -> None:
        self._config, self._console = config, console
        self._trials = config.trials
        self._output = LastingOutput(cast(TextIO, console.file))
        console.file = cast(TextIO, self._output)
        self._open: dict[int, TrialRecord] = {}
        self._ended: Counter[str] = Counter()
        self._under_way = 0
        self._objectives = Objectives.of(config.objectives)
        self._front = FrontArchive[None](len(self._objectives))
        self._worst = np.full(len(self._objectives), -np.inf)
        self._started: float | None = None
        self._before = self._worked = 0.0
        self._entered = time.monotonic()
        self._epochs = 0
        self._quiet = False
        self._last_line = 0.0
        self._live = Live(
            get_renderable=self._render,
            console=console,
            transient=True,
            refresh_per_second=4,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def recall(self, events: Iterable[Event]) -> None:
        events = list(events)
        self._worked = seconds_worked(events)
        # what an earlier run did is counted, not told again
        self._quiet = True
        for event in events:
            if event.trial is not None:
                self(event)
        self._quiet, self._started, self._before = False, None, self._fraction()

    def __call__(self, event: Event) -> None:
        """Show an event; raises what ended the output, so that the controller logs it."""
        if self._output.error:
            raise self._output.error
        if event.trial is None:
            self._show_search(event)
        else:
            self._show_trial(event.trial, event)

    def _show_search(self, event: Event) -> None:
        if isinstance(event.content, SearchStarted):
            self._trials = int(event.content.config.get("trials", self._trials))
            self._start()
        elif isinstance(event.content, Noted):
            self.note(event.content.text)
        elif isinstance(event.content, SearchFinished) and self._done >= MANY_TRIALS:
            self._live.stop()
            self.note(f"writing tables, study.db and report of {self._done} trials")

    def _show_trial(self, trial: int, event: Event) -> None:
        record = self._open.setdefault(trial, TrialRecord(trial))
        before = record.reached
        record.apply(event)
        self._under_way += record.reached - before
        match event.content:
            case Proposed() | Promoted():
                self._started = self._started or time.monotonic()
            case EpochEnded():
                self._epochs += 1
                # a line an epoch would drown the ends of trials
                doing = f"{called_trial(record)} {self._doing(record)}"
                self._line(doing, every=PLAIN_LINE_SECONDS)
            case Lost(reason=reason):
                what = "lost its worker and goes on with another"
                self._line(f"{called_trial(record)} {what}: {reason}")
            case Finished():
                self._finish(self._open.pop(trial))

    def data(self, what: str, done: int, total: int) -> None:
        """Say what happens to the data before the first trial: a line that moves on, or one now and then."""
        share = f" {done / total:4.0%}" if total else ""
        if redraws(self._console):
            end = "\n" if total and done >= total else "\r"
            self._console.print(f"{what}{share}", end=end)
        else:
            now = time.monotonic()
            if now - self._last_line >= PLAIN_LINE_SECONDS:
                self._last_line = now
                self._console.print(f"{what}{share}")

    def note(self, text: str) -> None:
        """Say something that belongs to no trial."""
        self._console.print(text, soft_wrap=True)

    def _start(self) -> None:
        self._entered = time.monotonic()
        if self._started is not None:  # another round of finalists
            return
        if redraws(self._console):
            self._live.start()
        else:
            self._console.print(self.opening)

    def _finish(self, record: TrialRecord) -> None:
        called, status = called_trial(record), record.status
        self._ended[status] += 1
        self._under_way -= record.reached
        if status is TrialStatus.COMPLETE:
            self._add(record)
            values = ", ".join(
                with_unit(name, record.metrics[name])
                for name in self._config.objectives
            )
            self._line(f"{called} {values}")
        elif status is not TrialStatus.DUPLICATE:
            reason = f": {record.error}" if record.error else ""
            self._line(f"{called} {status}{reason}")

    def _add(self, record: TrialRecord) -> None:
        point = self._objectives.costs_of(record.metrics)
        # fmax: a metric that is missing bounds nothing
        self._worst = np.fmax(self._worst, point)
        self._front.add(point, None)

    def _measured_front(self) -> tuple[int, float]:
        """Size and hypervolume of the front, which the archive works out again only when it has changed."""
        corner = self._worst
        if self._config.reference_point:
            corner = self._objectives.reference(self._config.reference_point)
        return len(self._front), self._front.hypervolume(corner)

    def _line(self, text: str, every: float = 0.0) -> None:
        """A plain line, where there is no live view, unless the last one is younger than ``every`` seconds."""
        now = time.monotonic()
        if (
            not self._quiet
            and not redraws(self._console)
            and now - self._last_line >= every
        ):
            self._last_line = now
            self._console.print(
                f"[{self._done}/{self._total}] {text} | {self._state()}",
                soft_wrap=True,
            )

    @property
    def _total(self) -> int:
        """How many trials there will be: each round of finalists adds some."""
        return max(self._trials, self._done + len(self._open))

    @property
    def _done(self) -> int:
        return self._ended.total() - self._ended["duplicate"]

    def _state(self) -> str:
        size, volume = self._measured_front()
        others = [
            f"{count} {status}"
            for status, count in self._ended.items()
            if status != "complete"
        ]
        clock = f"{duration(self._elapsed())} gone, {self._left()} left"
        return ", ".join([f"front {size}", f"hypervolume {volume:.4g}", *others, clock])

    def _elapsed(self) -> float:
        return time.monotonic() - self._started if self._started else 0.0

    def _left(self) -> str:
        fraction, elapsed = self._fraction(), self._elapsed()
        done = fraction - self._before
        if done <= 0 or elapsed <= 1:
            return "?"
        return "about " + duration(elapsed * (1 - fraction) / done)

    def _fraction(self) -> float:
        """How much of the budget is spent: of the limit that is nearest."""
        config, stop = self._config, self._config.stop
        shares = [(self._done + self._under_way / config.training.epochs) / self._total]
        if stop.hours:
            shares.append((self._worked + self._elapsed()) / 3600 / stop.hours)
        if stop.epochs:
            shares.append(self._epochs / stop.epochs)
        return min(1.0, max(shares))

    def _doing(self, record: TrialRecord) -> str:
        row = record.metrics
        if not record.epochs:
            return self._preparing(row)
        known = ("accuracy", *self._config.objectives)
        shown = next((with_unit(name, row[name]) for name in known if name in row), "")
        return f"epoch {record.reached}/{self._config.training.epochs} {shown}"

    def _preparing(self, metrics: Mapping[str, object]) -> str:
        """What keeps a trial that has no epoch yet."""
        wanted = self._config.evaluators
        if "latency" in wanted and "latency_ms" not in metrics:
            return "being measured, one at a time"
        predicted = "predicted_latency_ms" in metrics
        if "predicted_latency" in wanted and not predicted:
            return "latencies to predict from are being measured"
        return "in its first epoch"

    def _render(self) -> RenderableType:
        if self._started is None:
            waited = duration(time.monotonic() - self._entered)
            return Text(f"{self.opening} … {waited}")
        return Group(self._progress(), self._running(), self._found())

    def _progress(self) -> Table:
        """How far the search is, and how long it will take."""
        progress = Table.grid(padding=(0, 1))
        bar = max(5, min(30, self._console.width - 50))
        progress.add_row(
            Text(f"{self._done}/{self._total} networks", style="bold"),
            ProgressBar(total=1.0, completed=self._fraction(), width=bar),
            Text(f"{duration(self._elapsed())} gone, {self._left()} left"),
        )
        return progress

    def _running(self) -> FittingTable:
        """What runs now, a row a trial, as many as there is room for."""
        running = FittingTable(box=None, padding=(0, 2), header_style="dim")
        for column in ("trial", "network", "FLOPs", "now"):
            running.add_column(column, justify="left" if column == "now" else "right")
        at_work = [
            record
            for record in list(self._open.values())
            if record.status is not TrialStatus.PAUSED and record.proposal
        ]
        # a thousand rows, four times a second, would take a core, and fit on no screen
        shown = at_work[: max(1, self._console.height - OTHER_LINES)]
        for record in shown:
            flops = record.metrics.get("flops")
            cost = "" if flops is None else number("flops", flops)
            arch_id = record.proposal.arch_id if record.proposal else ""
            network = str(record.metrics.get("network", arch_id))
            running.add_row(str(record.number), network, cost, self._doing(record))
        if len(shown) < len(at_work):
            running.add_row("…", f"{len(at_work) - len(shown)} more")
        return running

    def _found(self) -> Text:
        """What came of the search so far."""
        size, volume = self._measured_front()
        found = Text(f"front {size} networks   hypervolume {volume:.4g}   ")
        for status, count in self._ended.items():
            if status != "complete":
                found.append(
                    f"{status} {count}   ", style="red" if status == "failed" else "dim"
                )
        return found
