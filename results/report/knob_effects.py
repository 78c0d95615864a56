"""What the knobs do and how errors are distributed, among networks that it is fair to compare."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from results import wording
from results.report.charts import POINTS_AT_MOST, shown, thinned
from results.runs.fidelity import stopping_epochs
from results.runs.run import Run
from results.statistics.populations import EDF
from results.statistics.trends import Trend
from results.strict_json import JsonObject

SPLITS = 8
"""A knob with more values than this splits no distribution."""
_HINT = (
    "the other knobs vary along, and a search does not draw them evenly: "
    "a hint at what matters, no proof."
)


@dataclass(frozen=True)
class Population:
    """Networks that were trained for as long as each other, up to ``epoch`` or to the end.

    ``note`` says what their selection means.
    """

    name: str
    note: str
    networks: pd.DataFrame
    epoch: int | None = None


def effects(run: Run, knobs: Sequence[str]) -> list[JsonObject]:
    """Trends and distributions in every population of the run, the one least bent by selection first."""
    return [
        {
            "name": population.name,
            "epoch": population.epoch,
            "trends": trends(population, run.objectives, knobs),
            "edf": distributions(population, knobs),
        }
        for population in populations(run)
    ]


def populations(run: Run) -> Iterator[Population]:
    """All networks at the epoch at which stopping began, if it did, and those that were trained to the end."""
    complete = run.complete
    epochs = stopping_epochs(run.trials)
    stopped = int((run.trials["status"] == "stopped").sum())
    note = "All were trained to the end on the same budget."
    if epochs:
        # up to the first decision nobody was chosen, so no effect is bent
        early = run.at_epoch(epochs[0]).trials
        yield Population(
            f"all {len(early)} after epoch {epochs[0]}",
            f"These networks had all been trained for {wording.counted(epochs[0], 'epoch')}, and none had been "
            "stopped yet: nobody chose among them by accuracy, but it is that of a part of the training.",
            early,
            epochs[0],
        )
        note = (
            f"{stopped} of {wording.counted(len(run.trials), 'network')} were stopped early, so these are "
            "survivors: among them the effect of a knob may shrink or turn round."
        )
    yield Population(f"the {len(complete)} trained to the end", note, complete)


def trends(
    population: Population, objectives: Iterable[str], knobs: Sequence[str]
) -> JsonObject:
    """Every objective's mean at each value of each knob that varies, with a 95 % interval."""
    networks = population.networks
    metrics = [name for name in objectives if networks[name].notna().any()]
    table = {}
    for knob in knobs if metrics else ():
        # a knob that does not vary has no trend
        if networks[knob].nunique() > 1:
            trends = {metric: _trend(networks, knob, metric) for metric in metrics}
            table[knob.removeprefix("arch.")] = trends
    return {
        "knobs": list(table),
        "metrics": metrics,
        "table": table,
        "note": f"{population.note} Means with 95 % intervals, which a single network does not give; {_HINT}",
    }


def _trend(networks: pd.DataFrame, knob: str, metric: str) -> JsonObject:
    trend = Trend(knob, metric)(networks)
    scale = wording.scale(metric)
    values = trend["knob"]
    numeric = pd.api.types.is_numeric_dtype(values)
    numeric = numeric and not pd.api.types.is_bool_dtype(values)
    return {
        "at": shown(values) if numeric else values.astype(str).tolist(),
        "numeric": numeric,
        "middle": shown(trend["value"], scale),
        "low": shown(trend["lower"], scale),
        "high": shown(trend["upper"], scale),
        "count": trend["networks"].tolist(),
    }


def distributions(population: Population, knobs: Sequence[str]) -> JsonObject:
    """The distribution of error over all of the population, and split by knobs with few values."""
    known = population.networks.dropna(subset=["accuracy"])
    if len(known) < 2:
        return {"note": "", "splits": {}}
    splits = {"": [_edf("all", known)]}
    for knob in knobs:
        values = known[knob].dropna().unique()
        # more curves than a reader tells apart
        if 2 <= len(values) <= SPLITS:
            named = knob.removeprefix("arch.")
            parts = {value: known[known[knob] == value] for value in sorted(values)}
            splits[named] = [_edf(f"{named} {value}", parts[value]) for value in parts]
    return {
        "note": f"{population.note} The line gives the share of them whose error is below a value: "
        "the higher the line, the better the population.",
        "splits": splits,
    }


def _edf(name: str, networks: pd.DataFrame) -> JsonObject:
    edf = EDF()(networks)
    edf = edf.iloc[thinned(range(len(edf)), POINTS_AT_MOST // 2)]
    return {
        "name": f"{name} ({len(networks)})",
        "error": shown(edf["error"], 100),
        "share": shown(edf["share"]),
    }
