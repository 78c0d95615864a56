"""A run, loaded: finished, still running, or crashed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from results import strict_json
from results.atomic import write_atomic
from results.columns import check_column
from results.metrics import error_column, is_knob, knob_column
from results.objectives import Directions, Objectives
from results.pareto.indicators import hypervolume_over_time
from results.pareto.pareto import hypervolume, pareto_front
from results.pareto.select import Selection, select
from results.runs import figures
from results.runs.comparability import incomparable
from results.runs.fidelity import at_epoch
from results.runs.snapshot import Stamp, write_snapshot
from results.runs.tables import Tables
from results.strict_json import JsonObject

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_RETRAINED_ALIKE = ("recipe", "settings", "data", "images", "init", "epochs")
_NOT_METRICS = ("space", "status", "error", "started", "finished")


@dataclass(frozen=True)
class Run:
    """What a search did: tables, settings and objectives (name -> "max" or "min").

    ``ended`` says why the search ended and is None while it runs or if it crashed; ``seconds`` is the time it
    worked, without the pauses before each resume; ``environment`` is what it ran on.
    ``damage`` names what of the log could not be read; ``url``
    is where a run that is not on this machine was read from.
    """

    path: Path
    trials: pd.DataFrame
    epochs: pd.DataFrame
    retrained: pd.DataFrame
    config: dict[str, Any]
    objectives: dict[str, str]
    ended: str | None
    seconds: float
    damage: str | None = None
    url: str | None = None
    environment: Mapping[str, object] = field(default_factory=dict, repr=False)
    stamp: Stamp | None = field(default=None, repr=False)
    facts: Mapping[str, object] = field(default_factory=dict, repr=False)

    @property
    def complete(self) -> pd.DataFrame:
        """The trials that were trained and measured to the end."""
        return self.trials[self.trials["status"] == "complete"]

    def full_fidelity(self) -> "Run":
        """This run reduced to the networks that were retrained, with what their full trainings came to.

        ``accuracy`` is the mean ``validation_accuracy`` of the seeds, so that a choice by it leaves the test
        images out; a column ``top1`` tells how they did there. Retrainings that differ from the newest in recipe,
        settings, images or start would not compare and are left out.

        Raises ``ValueError`` if there is none that kept validation images apart.
        """
        rows = self._retrained_alike()
        means = rows.groupby("trial")[["validation_accuracy", "top1"]].mean()
        trials = self.trials[self.trials["trial"].isin(means.index)]
        accuracy, top1 = (
            trials["trial"].map(means[name]).astype("Float64") for name in means
        )
        # The error that was logged is that of the search's own, short training.
        trials = trials.drop(columns=error_column("accuracy"), errors="ignore")
        found = trials.assign(
            accuracy=accuracy.astype(trials["accuracy"].dtype),
            status="complete",
            top1=top1,
        )
        return replace(self, trials=found, stamp=None)

    def _retrained_alike(self) -> pd.DataFrame:
        """The retrainings in the way of the newest, a row per network and seed."""
        rows = self.retrained
        if "validation_accuracy" in rows:
            rows = rows.dropna(subset=["validation_accuracy"])
        if "validation_accuracy" not in rows or rows.empty:
            raise ValueError(
                f"{self.path}: no network of this run has been retrained and validated"
            )
        known = [name for name in _RETRAINED_ALIKE if name in rows]
        settings = rows[known].astype("string").fillna("")
        # the newest says how it is done; older ways would not compare
        like_last = (settings == settings.iloc[-1]).all(axis=1)
        rows = rows[like_last]
        # Retrained once more, into another folder: the later result holds.
        return rows.drop_duplicates(["trial", "seed"], keep="last")

    def at_epoch(self, epoch: int) -> "Run":
        """This run as if every training had ended after ``epoch``; networks that were stopped before are left out.

        Where a stopper chose who trains on, statistics of the complete trials are those of survivors. Up to the
        first of ``results.runs.fidelity.stopping_epochs`` nobody was chosen yet, so that no knob's effect is bent.
        Raises ``ValueError`` if no network reached it.
        """
        found = at_epoch(self.trials, self.epochs, epoch)
        return replace(self, trials=found, stamp=None)

    def front(self, objectives: Directions | None = None) -> pd.DataFrame:
        """The Pareto front of the complete trials, best in the first objective first.

        Raises ``ValueError`` for an unknown objective, and for latencies that cannot be compared because they
        were measured on several devices or under several conditions.
        """
        objectives = self._objectives(objectives)
        self._check_comparable(objectives)
        return objectives.best_first(pareto_front(self.complete, objectives))

    def hypervolume(
        self,
        reference: Mapping[str, float] | None = None,
        objectives: Directions | None = None,
    ) -> float:
        """The hypervolume of the complete trials against ``reference`` (default: ``reference_point``)."""
        objectives = self._objectives(objectives)
        self._check_comparable(objectives)
        return hypervolume(
            self.complete, objectives, reference or self.reference_point(objectives)
        )

    def hypervolume_over_time(
        self,
        reference: Mapping[str, float] | None = None,
        objectives: Directions | None = None,
    ) -> pd.DataFrame:
        """``results.hypervolume_over_time`` of the complete trials; arguments as for ``hypervolume``."""
        objectives = self._objectives(objectives)
        self._check_comparable(objectives)
        return hypervolume_over_time(
            self.complete, objectives, reference or self.reference_point(objectives)
        )

    def figure(
        self,
        name: str = "front",
        *,
        x: str | None = None,
        y: str | None = None,
        knob: str | None = None,
        metric: str | None = None,
    ) -> "Figure":
        """A plotly figure to restyle.

        ``"front"`` has ``y`` over ``x`` (default: the first two objectives), ``"progress"`` the hypervolume,
        ``"learning"`` a curve of ``metric`` for each network, ``"knob"`` the mean of ``metric`` (default: the
        first objective) at each value of ``knob``. Raises ``ValueError`` for another name or an unknown column.
        """
        first, *others = self.objectives or {"accuracy": "max"}
        trials = self.complete
        front = self.comparable_front()
        metric = self._column(metric or first)
        match name:
            case "front":
                axes = (
                    self._column(x or (others or [first])[0]),
                    self._column(y or first),
                )
                return figures.front_figure(trials, front, *axes)
            case "progress":
                return figures.progress_figure(self.hypervolume_over_time())
            case "learning" if metric in self.epochs:
                return figures.learning_figure(self.epochs, front, metric)
            case "knob" if knob:
                column = self._column(knob_column(knob))
                return figures.knob_figure(trials, column, metric)
        raise ValueError(
            f"no figure {name!r} of {metric}: there are front, progress, learning (of a metric of epochs: "
            f"{', '.join(map(str, self.epochs))}) and knob (with knob=…)"
        )

    def _repr_html_(self) -> str:
        """What a notebook shows of the run."""
        front = self.comparable_front()
        counts = (len(self.trials), len(self.complete))
        sentence = (
            f"{self.path.name}: {counts[0]} networks, {counts[1]} trained to the end, "
            f"{self.no_front or f'{len(front)} on the front'}"
        )
        return figures.notebook_view(self.complete, front, self.objectives, sentence)

    def _column(self, name: str) -> str:
        check_column(self.trials, name)
        return name

    def select(self, objectives: Directions | None = None, **choice: Any) -> Selection:
        """``results.select`` among the complete trials; ``choice`` are its keyword arguments.

        Raises ``ValueError`` as that does, and for latencies that do not compare.
        """
        objectives = self._objectives(objectives)
        # every column that the choice looks at must compare
        asked = {*objectives}.union(
            *(choice.get(key) or () for key in ("under", "over", "near", "buckets"))
        )
        self._check_comparable(
            dict.fromkeys(
                [*asked, choice.get("maximize") or choice.get("minimize") or ""], ""
            )
        )
        return select(self.complete, objectives, **choice)

    def reference_point(self, objectives: Directions | None = None) -> dict[str, float]:
        """The settings' ``reference_point`` if it covers the objectives, else each one's worst complete value.

        The latter moves as trials come in: compare hypervolumes against it only within one table. It is NaN
        for an objective that nothing has measured.
        """
        objectives = self._objectives(objectives)
        chosen = self.config.get("reference_point") or {}
        if all(name in chosen for name in objectives):
            return {name: float(chosen[name]) for name in objectives}
        return objectives.worst(self.complete)

    def export(self) -> None:
        """Write ``trials.parquet``, ``epochs.parquet`` and ``front.json`` into the folder, each in one step.

        Until the log grows, ``load_run`` then reads the tables, which is much faster than replaying it.
        """
        if self.stamp is None and self.damage is None:
            raise ValueError(
                f"{self.path}: only a whole run, with its event log, is exported"
            )
        if self.url:
            raise ValueError(
                f"{self.url}: is elsewhere and only read; copy the folder here to export into it"
            )
        tables = Tables(self.trials, self.epochs, self.retrained)
        write_snapshot(self.path, tables, self.stamp, self.facts)
        front = self.front_record()
        write_atomic(
            self.path / "front.json", strict_json.dumps(front, indent=2) + "\n"
        )

    def front_record(self, objectives: Directions | None = None) -> JsonObject:
        """The front as ``front.json`` has it: with its hypervolume, or with why there is none.

        Raises ``ValueError`` for an unknown objective.
        """
        objectives = self._objectives(objectives)
        reason = self._incomparable(objectives)
        front = self.complete.head(0) if reason else self.front(objectives)
        unknown = reason or self.complete.empty
        return {
            "objectives": dict(objectives),
            "reference_point": self.reference_point(objectives),
            "hypervolume": None if unknown else self.hypervolume(objectives=objectives),
            # best in the first objective first, as front() orders them
            "networks": [network_record(row) for row in front.to_dict("records")],
            "no_front": reason,
        }

    @property
    def no_front(self) -> str | None:
        """Why this run has no front in its own objectives, if its trials do not compare."""
        return self._incomparable(self.objectives)

    def comparable_front(self) -> pd.DataFrame:
        """The front in the run's own objectives; empty where ``no_front`` says why there is none."""
        return (
            self.complete.head(0)
            if self.no_front or not self.objectives
            else self.front()
        )

    def _objectives(self, objectives: Directions | None) -> Objectives:
        aims = Objectives.of(self.objectives if objectives is None else objectives)
        aims.points(self.trials)
        return aims

    def _incomparable(self, objectives: Directions) -> str | None:
        """Why the complete trials do not compare."""
        return incomparable(self.complete, objectives)

    def _check_comparable(self, objectives: Directions) -> None:
        if reason := self._incomparable(objectives):
            raise ValueError(f"{self.path}: {reason}")


def network_record(row: Mapping[Any, Any]) -> JsonObject:
    """One network for other programs: identity, every metric, and the architecture itself."""
    metrics = {
        name: value
        for name, value in row.items()
        if name not in _NOT_METRICS and not is_knob(name)
    }
    return {
        **metrics,
        "arch": None if pd.isna(row["arch"]) else json.loads(row["arch"]),
    }
