"""What a cluster would come to with this or that stopper: the question behind the command ``simulate``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from nas.config.loading import load_config
from nas.config.pairs import split_pair
from nas.config.schema import SearchConfig
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.simulation.emulator import Emulator
from nas.simulation.outcome import Simulation, common_reference, compare_outcomes
from nas.simulation.simulator import simulate
from nas.simulation.synthetic import SyntheticWorkload
from nas.simulation.virtual_cluster import Cluster
from nas.simulation.workload import Proposes, RandomRows, Recorded, Workload
from nas.stopper.asha import Stopper, make_stopper
from results import load_run
from results.limits import Limit
from results.objectives import Directions
from search_spaces import get_space
from search_spaces.sampling.limits import LIMITED

SYNTHETIC_OBJECTIVES = {"accuracy": "max", "flops": "min"}
"""Of the surrogate; a recorded run has its own."""
EXAMPLES = {"stopper": "moasha,eta=4", "sampler": "nsga2,population_size=20"}
FAIR = 0.4
"""Rank agreement from which on a guess tells networks apart."""
TOO_FEW_NETWORKS = "hardly better than chance, so record more networks, or train them longer, before trusting this"


@dataclass(frozen=True)
class CurveSource:
    """Where curves come from, made anew for every stopper, so that all meet the same trials."""

    make: Callable[[], tuple[Proposes, Workload]]
    epochs: int
    objectives: Directions
    reference: Mapping[str, float] | None = None
    trials: int | None = None
    limits: Mapping[str, Limit] | None = None
    usual_trials: int | None = None
    agreement: float | None = None


def recorded(folder: str | Path, seed: int = 0) -> CurveSource:
    """The complete trials of a run, in random order, each once."""
    run = load_run(folder)
    rows = Recorded.of_run(run, list(run.objectives))
    return CurveSource(
        lambda: (RandomRows(len(rows), seed), rows),
        rows.epochs,
        run.objectives,
        run.config.get("reference_point"),
        len(rows),
    )


def emulated(folder: str | Path, sampler: str, seed: int = 0) -> CurveSource:
    """A search in the space of a run, its networks' curves guessed from those that the run trained to the end."""
    config = load_config(str(Path(folder) / "config.yaml"))
    asked = dict.fromkeys([*config.objectives, *config.limits])
    # accuracy has its curve, and costs are exact: neither is guessed as a number
    measured = [name for name in asked if name not in ("accuracy", *LIMITED)]
    emulator = Emulator.of_folder(folder, measured)
    return searching(emulator, config, sampler, seed)


def searching(
    emulator: Emulator, config: SearchConfig, sampler: str, seed: int = 0
) -> CurveSource:
    """A new search of ``config`` by that sampler (``name,option=value,…``), in the world of the emulator."""
    name, options = _parse("sampler", sampler)

    def make() -> tuple[Proposes, Workload]:
        strategy = make_sampler(name, seed, options)
        proposer = Proposer(
            emulator.space,
            config.objectives,
            strategy,
            seed,
            task=emulator.task,
            limits=config.limits,
        )
        return proposer, emulator

    # a limit on accuracy holds at the end of a training, not before its first epoch
    limits = {name: it for name, it in config.limits.items() if name != "accuracy"}
    return CurveSource(
        make,
        emulator.epochs,
        config.objectives,
        config.reference_point,
        limits=limits,
        usual_trials=config.trials,
        agreement=emulator.rank_agreement,
    )


def surrogate(
    space: str, epochs: int = 9, seconds: float = 60.0, seed: int = 0
) -> CurveSource:
    """Endless random rows of a space under the declared formula (``nas.simulation.synthetic.Curves``)."""
    workload = SyntheticWorkload(get_space(space), epochs, seconds=seconds, seed=seed)
    return CurveSource(lambda: (RandomRows(), workload), epochs, SYNTHETIC_OBJECTIVES)


@dataclass(frozen=True)
class Answer:
    """``table``: one row per stopper (``nas.simulation.outcome.compare``). ``timelines``: each one's curves."""

    table: pd.DataFrame
    timelines: dict[str, pd.DataFrame]
    simulations: dict[str, Simulation]


def what_if(
    source: CurveSource,
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
    # all specs are read before the first simulation: a typing error costs no minutes
    made = {spec: parse_stopper(spec, source) for spec in stoppers}

    def simulated(spec: str, stopper: Stopper) -> Simulation:
        # anew for each stopper: a proposer remembers what it has handed out
        proposer, workload = source.make()
        tell = partial(progress, spec) if progress else None
        return simulate(
            proposer,
            stopper,
            workload,
            cluster,
            limits=source.limits,
            seed=seed,
            progress=tell,
            **budget,
        )

    done = {spec: simulated(spec, stopper) for spec, stopper in made.items()}
    reference = source.reference or common_reference(done, source.objectives)
    table = compare_outcomes(done, source.objectives, reference)
    timelines = {
        spec: simulation.timeline(source.objectives, reference)
        for spec, simulation in done.items()
    }
    return Answer(table, timelines, done)


def parse_stopper(spec: str, source: CurveSource) -> Stopper:
    """``name,option=value,…`` as a stopper for the source's trials."""
    name, options = _parse("stopper", spec)
    return make_stopper(name, source.objectives, source.epochs, options)


def _parse(what: str, spec: str) -> tuple[str, dict[str, Any]]:
    name, *pairs = spec.split(",")
    options: dict[str, Any] = {}
    for pair in pairs:
        form = f"option=value, e.g. {EXAMPLES[what]}"
        key, value = split_pair(pair, f"{what} {spec!r}: {pair!r}", form)
        try:
            # as in settings: eta=4 is a number, mode=promote a text
            options[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"{what} {spec!r}: {value!r} is no value") from error
    return name, options


def what_if_summary(source: CurveSource, answer: Answer) -> list[str]:
    """What the table says, in sentences."""
    first, *others = answer.table.index
    lines = [_against_first(answer.table, first, name) for name in others]
    if source.agreement is not None:
        lines.append(_trust(source.agreement))
    exhausted = any(each.exhausted for each in answer.simulations.values())
    if source.trials and exhausted:
        lines.append(
            f"The run holds {source.trials} complete trials; where all were tried, workers ran idle."
        )
    return lines


def _against_first(table: pd.DataFrame, first: str, name: str) -> str:
    row = table.loc[name]
    base = table.loc[first]
    if pd.isna(row["epochs_to_first"]):
        return f"{name} does not reach the hypervolume of {first}."
    epochs = row["epochs_to_first"] / base["epochs"]
    hours = row["hours_to_first"] / base["hours"]
    return (
        f"{name} reaches the hypervolume of {first} after {epochs:.0%} of its epochs, "
        f"{hours:.0%} of its time."
    )


def _trust(agreement: float) -> str:
    fair = agreement >= FAIR
    trust = "trust the comparison, not the accuracies" if fair else TOO_FEW_NETWORKS
    return (
        "Curves are guessed from the run's own networks, whose final accuracies the guess "
        f"ranks at tau {agreement:.2f}: {trust}."
    )
