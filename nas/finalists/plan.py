"""What is to be trained in full, and how: settings, entrants and images, all checked before anything starts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluators import Dataset, load
from evaluators.data.progress import Progress
from nas.config.finalists import FinalistsConfig
from nas.config.loading import built, load_config, read_values, validate
from nas.config.pairs import key_of, section_of
from nas.config.schema import SearchConfig, StopConfig
from nas.engines.engine import located
from nas.finalists.baselines import baselines
from nas.finalists.choose import choose_finalists
from nas.finalists.evaluate import FullTraining
from nas.finalists.in_full import check_trained, full_images, full_recipe
from nas.finalists.lineup import (
    Entrant,
    read_lineup,
    write_lineup,
)
from nas.prepare import Prepared, device_of, gpus_per_trial, prepare
from nas.problem import Problem
from nas.retraining.plan import Plan, make_plan
from nas.runs.folder import (
    LINEUP,
    check_images,
    images_of,
    new_folder,
)
from results import Run, load_run
from results.runs.finalists import FINALISTS
from results.wording import counted

UNFINISHED = ".finalists-new"
RUNNING = ("engine", "ray", "resources")
"""Settings of the search that say how it runs, not what its numbers mean."""
OF_SEARCH = (*RUNNING, "size_gain")
"""What finalists may be told otherwise: how they run, and by what they are chosen."""
RENEWABLE = {"trials", "stop", "finalists", "select", "export", *RUNNING}


@dataclass(frozen=True)
class Work:
    """The finalists and baselines of ``run``, how they are trained (``config``, ``training``), and where.

    ``entrants`` has further seeds of a network behind all first ones.
    """

    run: Run
    config: SearchConfig
    folder: Path
    entrants: list[Entrant]
    prepared: Prepared
    training: FullTraining
    dataset: Dataset

    @property
    def settings(self) -> FinalistsConfig:
        return self.config.finalists or FinalistsConfig()

    @property
    def validation_images(self) -> int:
        return len(self.dataset.validation.labels)


def plan_finalists(
    source: str | Path,
    overrides: Sequence[str] = (),
    progress: Progress = lambda what, done, total: None,
) -> Work:
    """What ``finalists`` would train; writes the folder with the list of it. Raises as that does."""
    run = load_run(source)
    search = validate(run.config, str(run.path / "config.yaml"))
    config, plan = _configured(run, search, overrides)
    folder = run.path / FINALISTS
    begun = (folder / LINEUP).is_file()
    if begun:
        _check_same(folder, config)
    elif folder.exists():
        raise ValueError(f"{folder}: exists already and holds no {LINEUP}")
    prepared = prepare(config, progress)
    dataset = load(plan.data)
    plan = plan.model_copy(update={"images": dict(prepared.images)})
    if begun:
        check_images(folder, prepared.images)
        # drawn once: what was begun is gone on with, whatever would be chosen now
        entrants = read_lineup(folder)
    else:
        entrants = _entrants(run, config, prepared)
    # a training is a trial of the run of finalists
    config = config.model_copy(update={"trials": len(entrants)})
    _check_hours(run, config, entrants, prepared)
    if not begun:
        _write_folder(folder, config, prepared, entrants)
    training = FullTraining(
        plan,
        (folder / "networks").absolute(),
        _memory_share(config),
        search.training,
        frozenset(config.finalists.training if config.finalists else ()),
    )
    return Work(run, config, folder, entrants, prepared, training, dataset)


def only_finalists_left(
    folder: Path, config: SearchConfig, overrides: Sequence[str]
) -> bool:
    """Whether the search itself is over, nothing raises its limits, and its settings go on to finalists."""
    raised = [each for each in overrides if key_of(each) not in RUNNING]
    if config.finalists is None or raised or not (folder / "events.db").is_file():
        return False
    return load_run(folder).ended not in (None, "interrupted")


def _configured(
    run: Run, search: SearchConfig, overrides: Sequence[str]
) -> tuple[SearchConfig, Plan]:
    """The settings of the run of finalists, and how each is trained."""
    check_trained(search.evaluators)
    own, running, recipe = _sorted(overrides)
    before = (search.finalists or FinalistsConfig()).model_dump(mode="json")
    settings = read_values("--set", own, {"--set": json.dumps(before)})
    settings["training"] = read_values(
        "--set", recipe, {"--set": json.dumps(settings["training"])}
    )
    chosen = built(lambda plain: FinalistsConfig(**plain), settings, "finalists")
    now = read_values("--set", running, {"--set": json.dumps(_running(search))})
    full_recipe(chosen)
    full_images(chosen, search.data)
    plan = _plan(run, chosen)
    config = validate(
        search.model_dump(mode="json")
        | now
        | {"stopper": {"name": "none"}, "start_from": [], "storage": None},
        "--set",
    )
    config = located(config).model_copy(
        update={
            "data": plan.data,
            "training": plan.recipe,
            "stop": StopConfig(hours=chosen.hours),
            "finalists": chosen,
            "select": None,
        }
    )
    return config, plan.model_copy(update={"device": device_of(config)})


def _running(search: SearchConfig) -> dict[str, Any]:
    values = search.model_dump(mode="json")
    return {name: values[name] for name in OF_SEARCH}


def _sorted(overrides: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Those of the finalists themselves, of the search, of the recipe."""
    own = list[str]()
    running = list[str]()
    recipe = list[str]()
    for each in overrides:
        name = section_of(each)
        kind = (
            own
            if name in FinalistsConfig.model_fields and name != "training"
            else running
            if name in OF_SEARCH
            else recipe
        )
        kind.append(each.removeprefix("training.") if kind is recipe else each)
    return own, running, recipe


def _plan(run: Run, settings: FinalistsConfig) -> Plan:
    """A retraining of any trial, on all images: what it says of its network is replaced."""
    if run.trials.empty:
        raise ValueError(f"{run.path}: no network has been tried yet")
    how = settings.training
    # in full means all images, unless somebody says otherwise
    images = {"subset": None} | how.get("data", {})
    plan, _ = make_plan(
        str(run.path),
        trial=int(run.trials["trial"].iloc[0]),
        recipe=settings.recipe,
        overrides=[f"data.{name}={json.dumps(images[name])}" for name in images],
        tuned=False,
        **{name: how[name] for name in how if name != "data"},
    )
    return plan


def _check_same(folder: Path, config: SearchConfig) -> None:
    """``ValueError`` naming a setting that the finalists in ``folder`` were begun with otherwise."""
    before = load_config(str(folder / "config.yaml"))
    ours, theirs = (each.model_dump(mode="json") for each in (config, before))
    changed = [
        name for name in ours if name not in RENEWABLE and ours[name] != theirs[name]
    ]
    of_finalists = [
        f"finalists.{name}"
        for name in FinalistsConfig.model_fields
        if name not in ("hours", "training", "recipe", "seeds")
        and ours["finalists"][name] != (theirs["finalists"] or {}).get(name)
    ]
    for name in (*changed, *of_finalists):
        raise ValueError(
            f"{folder}: began with another {name}; move the folder away to begin anew"
        )


def _entrants(run: Run, config: SearchConfig, prepared: Prepared) -> list[Entrant]:
    settings = config.finalists or FinalistsConfig()
    chosen = choose_finalists(
        run,
        settings.networks,
        config.limits,
        _validated(run, config),
        config.size_gain,
    )
    problem = Problem(
        config.space.build(), config.objectives, config.limits, prepared.task
    )
    return [*chosen, *baselines(problem, settings, chosen, config.seed)]


def _validated(run: Run, config: SearchConfig) -> int:
    """How many images the search's accuracies are of."""
    images = _images(images_of(run.path))
    return max(1, round(config.data.validation * images))


def _images(content: Mapping[str, Any]) -> int:
    """How many there are to train and validate with, by ``Dataset.content``."""
    of_splits = content.get("images", {}).values()
    return sum(map(int, of_splits))


def _check_hours(
    run: Run, config: SearchConfig, entrants: Sequence[Entrant], prepared: Prepared
) -> None:
    """``ValueError`` if the shortest training would take longer than all the hours, by the search's epochs."""
    hours = config.stop.hours
    trials = {each.trial for each in entrants}
    epochs = run.epochs[run.epochs["trial"].isin(trials)]
    before = _images(images_of(run.path))
    if hours is None or epochs.empty or not before:
        return
    # the search may have trained on a part of them
    growth = _images(prepared.images) / before
    epoch = epochs.groupby("trial")["seconds"].mean().min() * growth
    needed = epoch * config.training.epochs / 3600
    if needed > hours:
        raise ValueError(
            f"hours {hours:g}: the shortest training alone takes about {needed:.2g} hours "
            f"({counted(config.training.epochs, 'epoch')} of {epoch:.3g} s, by those of the search)"
        )


def _write_folder(
    folder: Path, config: SearchConfig, prepared: Prepared, entrants: Sequence[Entrant]
) -> None:
    """The whole folder appears at once."""
    # the list is what makes the folder one of finalists: never without it
    new = folder.with_name(UNFINISHED)
    shutil.rmtree(new, ignore_errors=True)
    new_folder(new, config, prepared.task, prepared.images)
    write_lineup(new, entrants)
    new.rename(folder)


def _memory_share(config: SearchConfig) -> float | None:
    share = gpus_per_trial(config)
    return share if 0 < share < 1 else None
