"""What is to be retrained, and what is known of how it was found."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from evaluators import DataSettings, Recipe
from evaluators.training.recipe import recipe_for
from nas.config.loading import validate
from nas.runs.folder import images_of, task_of
from nas.runs.networks import read_arch
from results import Run, load_run
from search_spaces import REFERENCES, Arch, Task, arch_from_dict, reference
from search_spaces.extension import nearest
from search_spaces.joint import network_of, settings_of
from search_spaces.knobs import Knobs


@dataclass(frozen=True)
class Origin:
    """A network and, as far as known, its search: ``trial`` of the ``run`` folder, data, training, task.

    ``settings`` are what the search chose for the network's training, ``training`` has them too.
    """

    arch: Arch
    data: DataSettings | None = None
    training: Recipe | None = None
    run: Path | None = None
    trial: int | None = None
    task: Task | None = None
    images: dict[str, Any] = field(default_factory=dict)
    settings: Knobs = field(default_factory=dict)


def find_origin(source: str, trial: int | None = None) -> Origin:
    """The network that ``source`` names: a run folder, a .json file (``select --out``), a published network.

    Of a run, ``trial`` or else the best of its front in its first objective.

    Raises:
        ValueError: naming what is missing or wrong.
    """
    path = Path(source)
    # a folder first: a published network's name may be that of a folder
    if path.is_dir():
        return _of_run(path, trial)
    if trial is not None:
        raise ValueError(
            f"--trial {trial}: only a run folder has trials, {source} is none"
        )
    if path.suffix == ".json":
        return _of_file(path)
    if source not in REFERENCES:
        raise ValueError(
            f"{source}: no such run folder or .json file, nor a published network{nearest(source, REFERENCES)}"
        )
    return Origin(reference(source))


def _of_run(path: Path, trial: int | None) -> Origin:
    run = load_run(path)
    row = _best(run) if trial is None else _trial(run, trial)
    return _found(
        arch_from_dict(json.loads(row["arch"])), run.config, path, int(row["trial"])
    )


def _best(run: Run) -> pd.Series[Any]:
    if run.no_front:
        raise ValueError(f"{run.no_front}; name one of its networks with --trial")
    front = run.comparable_front()
    if front.empty:
        raise ValueError(
            f"{run.path}: no trial is complete, so there is nothing to retrain yet"
        )
    return front.iloc[0]


def _trial(run: Run, trial: int) -> pd.Series[Any]:
    rows = run.trials[run.trials["trial"] == trial]
    if rows.empty or pd.isna(rows.iloc[0]["arch"]):
        last = run.trials["trial"].max() if len(run.trials) else "none"
        raise ValueError(
            f"--trial {trial}: {run.path} has no such trial (its last is {last})"
        )
    return rows.iloc[0]


def _of_file(path: Path) -> Origin:
    arch = read_arch(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content.get("config"), dict):
        return Origin(network_of(arch), settings=settings_of(arch))
    run = content.get("run")
    trial = content.get("trial")
    # a run behind a URL cannot be written to later
    folder = Path(run) if isinstance(run, str) and "://" not in run else None
    return _found(
        arch,
        content["config"],
        folder,
        trial if isinstance(trial, int) else None,
        str(path),
    )


def _found(
    arch: Arch,
    config: dict[str, object],
    run: Path | None,
    trial: int | None,
    source: str = "",
) -> Origin:
    settings = validate(
        {name: config[name] for name in ("data", "training") if name in config},
        source or f"{run}/config.yaml",
    )
    return Origin(
        network_of(arch),
        settings.data if "data" in config else None,
        recipe_for(arch, settings.training) if "training" in config else None,
        run.absolute() if run else None,
        trial,
        task_of(run) if run else None,
        images_of(run) if run else {},
        settings_of(arch),
    )
