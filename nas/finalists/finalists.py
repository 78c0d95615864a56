"""The best networks of a search trained in full: a search of its own, over a fixed list of trainings.

The list (``lineup``) is a proposer, successive halving (``nas.stopper.halving``) the stopper, a retraining
the last evaluator; engine, controller, log and resume are those of every search. When the list is through,
networks too close to call are put on it once more with another seed. The folder ``finalists`` is itself a run
folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from evaluators import Evaluator, Latency
from evaluators.data.progress import Progress
from nas.controller import Controller
from nas.driver import drive, make_controller, sound_log
from nas.finalists.certainty import standard_errors, too_close
from nas.finalists.evaluate import Introduction, UnlessKnown
from nas.finalists.lineup import (
    Entrant,
    Lineup,
    Role,
    write_lineup,
)
from nas.finalists.outcome import Finals, conclude, with_best_random
from nas.finalists.plan import Work, plan_finalists
from nas.listeners import Listener
from nas.retraining.retrain import Note
from nas.runs.folder import (
    write_settings,
)
from nas.runs.lock import sole_driver
from nas.stopper.halving import Field, Halving, rungs_below
from results import EventLog, load_run
from results.runs.finalists import per_network


def finalists(
    source: str | Path,
    *,
    overrides: Sequence[str] = (),
    listeners: Sequence[Listener] = (),
    note: Note = lambda text: None,
    progress: Progress = lambda what, done, total: None,
) -> Finals:
    """Train the best networks of the run ``source`` in full, beside baselines, and say which are on the front.

    ``overrides`` (``networks=4``, ``epochs=60``, ``engine=serial``) are of ``FinalistsConfig``, of the recipe, and
    of the search's settings that say how it runs. Leaves the run folder ``finalists`` in that of the run. The same
    call again goes on where it was interrupted, be it by ``kill -9``.

    Raises:
        ValueError: in one line, before anything is trained, for too few networks, hours too short for one
            training, settings or images that will not do.
    """
    return train_finalists(plan_finalists(source, overrides, progress), listeners, note)


def train_finalists(
    work: Work,
    listeners: Sequence[Listener] = (),
    note: Note = lambda text: None,
) -> Finals:
    """Train them to the end, or until Ctrl-C or the hours are over."""
    entrants = list(work.entrants)
    with (
        sole_driver(work.folder),
        sound_log(work.folder / "events.db") as log,
        _one_ray(work),
    ):
        # a round ends when the list is through; then doubt may make it longer
        while not _round(work, entrants, log, listeners):
            more = _further_seeds(work, entrants)
            if not more:
                break
            # names may have commas
            names = "; ".join(dict.fromkeys(each.name for each in more))
            note(f"too close to call, once more with another seed: {names}")
            entrants += more
            write_lineup(work.folder, entrants)
    return conclude(replace(work, entrants=entrants), note)


def _round(
    work: Work, entrants: list[Entrant], log: EventLog, listeners: Sequence[Listener]
) -> bool:
    """Let the engine work through what is left of the list; whether it was cut short."""
    config = work.config.model_copy(update={"trials": len(entrants)})
    write_settings(work.folder, config)
    prepared = replace(
        work.prepared,
        evaluators=_evaluators(work, entrants),
        proposer=Lineup(config.space.build(), config.objectives, entrants),
        stopper=_halving(work, entrants),
    )
    controller = make_controller(config, prepared, log, listeners)
    controller.replay(log)
    try:
        if not controller.over:
            drive(config, controller, prepared, work.folder)
    except KeyboardInterrupt:
        return True
    return _cut_short(controller)


def _cut_short(controller: Controller) -> bool:
    # hours over, or Ctrl-C: no further seeds then
    return controller.spending.out_of_time or not controller.over


def _evaluators(work: Work, entrants: list[Entrant]) -> list[Evaluator]:
    known = frozenset(each.arch.id for each in entrants if each.known)
    found: list[Evaluator] = [Introduction.of(entrants)]
    names = work.config.evaluators
    for name, evaluator in zip(names, work.prepared.evaluators, strict=True):
        if name == "training":
            found.append(work.training)
        elif isinstance(evaluator, Latency) and work.config.latency.resource:
            found.append(evaluator)  # the engine sends it to devices kept for it
        else:
            found.append(UnlessKnown(evaluator, known))
    return found


def _halving(work: Work, entrants: Sequence[Entrant]) -> Halving:
    """Finalists compete by all objectives; random networks by the first, since only their best is shown."""
    objectives = work.config.objectives
    settings = work.settings
    first = dict(list(objectives.items())[:1])
    fields = [
        Field(_first_trainings(entrants, role), aims)
        for role, aims in ((Role.FINALIST, objectives), (Role.RANDOM, first))
    ]
    epochs = work.config.training.epochs
    rungs = rungs_below(epochs, settings.min_epochs, settings.eta)
    return Halving(fields, rungs, settings.eta)


def _first_trainings(entrants: Sequence[Entrant], role: Role) -> frozenset[int]:
    return frozenset(
        number
        for number, each in enumerate(entrants)
        # further seeds only settle what is in doubt: they are never halved
        if each.role == role and each.seed == 0
    )


def _further_seeds(work: Work, entrants: Sequence[Entrant]) -> list[Entrant]:
    """Networks too close to call, each once more, unless it has had its share of seeds."""
    trials = load_run(work.folder).trials
    done = per_network(trials)
    if done.empty:
        return []
    networks = with_best_random(done, work.config.objectives)
    errors = standard_errors(networks, trials, work.validation_images)
    close = too_close(networks, work.config.objectives, errors)
    given = Counter(each.arch.id for each in entrants)
    # reversed: the first training of a network is the one kept
    first = {each.arch.id: each for each in reversed(entrants)}
    return [
        first[name].again(given[name])
        for name in close
        if given[name] < work.settings.seeds
    ]


@contextmanager
def _one_ray(work: Work) -> Iterator[None]:
    """One Ray for all rounds, since starting it takes longer than an epoch."""
    if work.config.engine != "ray":
        yield
        return
    from nas.engines.ray_cluster import connected

    with connected(work.config.ray, work.folder / "log.txt"):
        yield
