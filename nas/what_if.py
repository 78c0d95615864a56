"""What a cluster would come to with this or that stopper: the question behind the command ``simulate``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from results import load_run
from search_spaces import get_space

from .curves import Surrogate
from .simulate import simulate
from .simulation import Simulation, common_reference, compare
from .stopper import Stopper, make_stopper
from .virtual_cluster import Cluster
from .workload import Proposes, RandomRows, Recorded, Workload

OBJECTIVES = {"accuracy": "max", "flops": "min"}
"""Of the surrogate; a recorded run has its own."""


@dataclass(frozen=True)
class Source:
    """Where curves come from, made anew for every stopper, so that all meet the same trials."""

    make: Callable[[], tuple[Proposes, Workload]]
    epochs: int
    objectives: Mapping[str, str]
    reference: Mapping[str, float] | None = None
    trials: int | None = None


def recorded(folder: str | Path, seed: int = 0) -> Source:
    """The complete trials of a run, in random order, each once."""
    run = load_run(folder)
    rows = Recorded.of_run(run, list(run.objectives))
    return Source(
        lambda: (RandomRows(len(rows), seed), rows),
        rows.epochs,
        run.objectives,
        run.config.get("reference_point"),
        len(rows),
    )


def surrogate(space: str, epochs: int = 9, seconds: float = 60.0, seed: int = 0) -> Source:
    """Endless random rows of a space under the declared formula (``nas.curves.Curves``)."""
    workload = Surrogate(get_space(space), epochs, seconds=seconds, seed=seed)
    return Source(lambda: (RandomRows(), workload), epochs, OBJECTIVES)


@dataclass(frozen=True)
class Answer:
    """``table``: one row per stopper (``nas.simulation.compare``). ``timelines``: each one's curves."""

    table: pd.DataFrame
    timelines: dict[str, pd.DataFrame]
    simulations: dict[str, Simulation]


def what_if(
    source: Source,
    stoppers: Sequence[str],
    cluster: Cluster,
    *,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
    **budget: float,
) -> Answer:
    """Simulate the same search once per stopper, such as ``"none"`` or ``"moasha,eta=4,mode=promote"``.

    ``progress`` is called with the stopper and the share done. The hypervolume is bounded by the run's reference
    point, or by the worst values that any stopper's complete trials have.

    Raises:
        ValueError: for a stopper or budget that cannot be, or if no trial was trained to its end.
    """
    made = {spec: parse_stopper(spec, source) for spec in stoppers}
    done = {}
    for spec, stopper in made.items():

        def tell(share: float, spec: str = spec) -> None:
            if progress:
                progress(spec, share)

        proposer, workload = source.make()
        done[spec] = simulate(proposer, stopper, workload, cluster, seed=seed, progress=tell, **budget)
    reference = source.reference or common_reference(done, source.objectives)
    return Answer(
        compare(done, source.objectives, reference),
        {spec: simulation.timeline(source.objectives, reference) for spec, simulation in done.items()},
        done,
    )


def parse_stopper(spec: str, source: Source) -> Stopper:
    """``name,option=value,…`` as a stopper for the source's trials."""
    name, *pairs = spec.split(",")
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise ValueError(f"stopper {spec!r}: {pair!r} needs the form option=value, e.g. moasha,eta=4")
        try:
            options[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"stopper {spec!r}: {value!r} is no value") from error
    return make_stopper(name, source.objectives, source.epochs, options)


def summary(source: Source, answer: Answer) -> list[str]:
    """What the table says, in sentences."""
    first, *others = answer.table.index
    lines = []
    for name in others:
        row, base = answer.table.loc[name], answer.table.loc[first]
        if math.isnan(row["epochs_to_first"]):
            lines.append(f"{name} does not reach the hypervolume of {first}.")
            continue
        epochs, hours = (row[f"{unit}_to_first"] / base[unit] for unit in ("epochs", "hours"))
        lines.append(
            f"{name} reaches the hypervolume of {first} after {epochs:.0%} of its epochs, {hours:.0%} of its time."
        )
    if source.trials and any(simulation.exhausted for simulation in answer.simulations.values()):
        lines.append(
            f"The run holds {source.trials} complete trials; where all were tried, workers ran idle."
        )
    return lines
