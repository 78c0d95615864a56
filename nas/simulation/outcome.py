"""What came of a simulated search: tables, and curves over virtual time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from results.columns import Array
from results.objectives import Directions, Objectives
from results.pareto.archive import FrontArchive

CURVE_TITLES = {
    "hypervolume": "hypervolume of complete trials",
    "epochs": "epochs trained",
    "utilisation": "workers training",
}


@dataclass(frozen=True)
class Simulation:
    """``trials``: one row per trial, times in virtual seconds. ``segments``: one row per stay on a worker.

    ``segments`` has ``trial, start, end``, the ``epochs`` finished and the seconds ``trained`` in it.
    ``exhausted``: the proposer ran out of networks.
    """

    trials: pd.DataFrame
    segments: pd.DataFrame
    workers: int
    seconds: float
    exhausted: bool

    @property
    def utilisation(self) -> float:
        """Share of the workers' time that went into training that was kept."""
        trained = self.segments["trained"].sum()
        return float(trained / (self.workers * self.seconds))

    @property
    def complete(self) -> pd.DataFrame:
        return self.trials[self.trials["status"] == "complete"]

    def timeline(
        self,
        objectives: Directions,
        reference: Mapping[str, float],
        points: int = 200,
    ) -> pd.DataFrame:
        """At ``points`` equally distant times: hours, epochs, trials ended, complete, utilisation since the point
        before, and the hypervolume of all trials complete by then (unfinished ones have no say).

        Epochs and training are spread evenly over each stay on a worker.
        """
        times = np.linspace(0, self.seconds, points + 1)[1:]
        unfinished = self.trials["status"].isin(["running", "paused"])
        ends = np.sort(self.trials.loc[~unfinished, "finished"])
        complete = self.complete.sort_values("finished", kind="stable")
        # differences of a running sum: what happened since the point before
        trained = np.diff(self._spent("trained", times), prepend=0)
        columns = {
            "hours": times / 3600,
            "epochs": self._spent("epochs", times),
            "trials": np.searchsorted(ends, times, side="right"),
            "complete": np.searchsorted(complete["finished"], times, side="right"),
            "utilisation": trained / (self.workers * times[0]),
            "hypervolume": _hypervolumes(complete, times, objectives, reference),
        }
        return pd.DataFrame(columns)

    def _spent(self, column: str, times: Array) -> Array:
        """How much of ``column`` was done by each of ``times``."""
        start = self.segments["start"].to_numpy()
        end = self.segments["end"].to_numpy()
        amount = self.segments[column].to_numpy(dtype=float)
        lasting = end > start  # a stay may end in the moment it began
        rate = amount[lasting] / (end - start)[lasting]
        # what a stay gives grows from its start, and no more from its end
        begun = _ramps(start[lasting], rate, times)
        ended = _ramps(end[lasting], rate, times)
        return begun - ended


def _ramps(starts: Array, rates: Array, times: Array) -> Array:
    """The sum of rate * max(0, time - start) at each of ``times``."""
    # rate * (time - start), summed over those begun, needs two running sums only
    order = np.argsort(starts)
    count = np.searchsorted(starts[order], times, side="right")
    # of the first 0, 1, 2, ... of them together
    together = np.cumsum(rates[order])
    rate = np.concatenate([[0.0], together])
    begun = (rates * starts)[order]
    missed = np.concatenate([[0.0], np.cumsum(begun)])
    return np.asarray(rate[count] * times - missed[count])


def _hypervolumes(
    complete: pd.DataFrame,
    times: Array,
    objectives: Directions,
    reference: Mapping[str, float],
) -> Array:
    """Hypervolume at each of ``times`` of the trials finished by then; they come in the order of their end."""
    aims = Objectives.of(objectives)
    corner = aims.reference(reference)
    points = aims.points(complete)
    ends = np.searchsorted(complete["finished"], times, side="right")
    front = FrontArchive[None](len(aims))
    volumes = []
    before = 0
    for end in ends:
        for point in points[before:end]:
            if not front.covers(point):
                front.add(point, None)
        volumes.append(front.hypervolume(corner))
        before = end
    return np.array(volumes)


def common_reference(
    simulations: Mapping[str, Simulation], objectives: Directions
) -> dict[str, float]:
    """The worst values among all complete trials: a reference point that is fair to all.

    Raises:
        ValueError: if no trial is complete, or an objective is no metric of theirs.
    """
    tables = [simulation.complete for simulation in simulations.values()]
    complete = pd.concat(tables)
    missing = [name for name in objectives if name not in complete]
    if missing:
        raise ValueError(
            f"objective {missing[0]} is not simulated; there are accuracy and the costs known before"
        )
    if complete.empty:
        raise ValueError(
            "no simulated trial was trained to its end: give more hours, or fewer epochs"
        )
    return Objectives.of(objectives).worst(complete)


def compare_outcomes(
    simulations: Mapping[str, Simulation],
    objectives: Directions,
    reference: Mapping[str, float],
) -> pd.DataFrame:
    """One row per simulation: what was spent, what came of it, and what it took to get where the first one ended.

    ``epochs_to_first`` and ``hours_to_first`` are NaN where that hypervolume was not reached.
    """
    rows = {}
    goal = None
    for name, simulation in simulations.items():
        timeline = simulation.timeline(objectives, reference, points=1000)
        volume = timeline["hypervolume"].iloc[-1]
        goal = volume if goal is None else goal  # the first one's end
        there = timeline[timeline["hypervolume"] >= goal]
        rows[name] = _spent_and_reached(simulation) | {
            "hypervolume": volume,
            "epochs_to_first": np.nan if there.empty else there["epochs"].iloc[0],
            "hours_to_first": np.nan if there.empty else there["hours"].iloc[0],
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("stopper")


def _spent_and_reached(simulation: Simulation) -> dict[str, float]:
    status = simulation.trials["status"].value_counts()
    return {
        "hours": simulation.seconds / 3600,
        "trials": len(simulation.trials),
        "complete": status["complete"],
        "stopped": status["stopped"] + status["paused"],
        "failed": status["failed"],
        "epochs": int(simulation.segments["epochs"].sum()),
        "utilisation": simulation.utilisation,
    }


def figure(timelines: Mapping[str, pd.DataFrame]) -> go.Figure:
    """The curves of several simulations over virtual time, below each other."""
    rows = len(CURVE_TITLES)
    titles = list(CURVE_TITLES.values())
    chart = make_subplots(rows, 1, shared_xaxes=True, subplot_titles=titles)
    for number, (name, timeline) in enumerate(timelines.items()):
        # steps of the golden angle keep neighbouring colours apart, however many there are
        colour = f"hsl({number * 137 % 360}, 60%, 45%)"
        style = {"name": name, "legendgroup": name, "line": {"color": colour}}
        for row, column in enumerate(CURVE_TITLES, start=1):
            x = timeline["hours"]
            y = timeline[column]
            line = go.Scatter(x=x, y=y, showlegend=row == 1, **style)
            chart.add_trace(line, row=row, col=1)
    chart.update_xaxes(title_text="hours", row=len(CURVE_TITLES), col=1)
    return chart.update_layout(height=900, template="plotly_white")
