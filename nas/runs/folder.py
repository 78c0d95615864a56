"""The folder of a search: made, opened again, kept to one driver."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
import yaml

from evaluators.data.content import changed_images
from evaluators.devices.device import device_name
from evaluators.durable import sync
from nas.config.loading import load_config
from nas.config.schema import SearchConfig
from results import Event, EventLog, write_atomic
from results.log.events import EpochEnded
from results.nearby import nearest_file
from search_spaces import Task

LINEUP = "lineup.json"
"""The list of trainings in a folder of finalists."""
RECORDED_PACKAGES = ("torch", "numpy", "optuna", "ray", "pandas", "fvcore", "moocore")
RAISABLE = frozenset(
    {
        *("trials", "stop", "resources", "engine", "ray", "loggers"),
        *("finalists", "select", "export"),
    }
)
"""Settings that may change when a search goes on; the others decide what its numbers mean."""
UNCHANGEABLE = (
    "cannot change when a search goes on, its trials would not compare; "
    f"{', '.join(sorted(RAISABLE))} can"
)


def new_folder(
    folder: Path,
    config: SearchConfig,
    task: Task,
    images: Mapping[str, object] | None = None,
) -> None:
    """Make the folder with its settings, environment and an empty log; leaves nothing if that fails.

    Raises:
        ValueError: if there is something of that name.
        OSError: if it cannot be written.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ValueError(
            f"{folder}: exists already; name a new folder with --out, or resume it"
        ) from None
    environment = json.dumps(this_environment(task, images or {}), indent=2)
    try:
        write_settings(folder, config)
        write_atomic(folder / "environment.json", f"{environment}\n")
        EventLog(folder / "events.db").close()
        (folder / "checkpoints").mkdir()
        sync(folder)
        # else a power loss may take the folder, however well its files are kept
        sync(folder.parent)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_settings(folder: Path, config: SearchConfig) -> None:
    settings = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    write_atomic(folder / "config.yaml", settings)


def reopened(folder: Path, overrides: tuple[str, ...]) -> SearchConfig:
    """The settings of an earlier search, with limits raised by ``overrides``.

    Raises:
        ValueError: if the folder holds no search, or an override would change what its numbers mean.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such run folder{nearest_file(folder)}")
    for name in ("config.yaml", "events.db"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder}: no search to resume, it holds no {name}")
    if (folder / LINEUP).is_file():
        raise ValueError(
            f"{folder}: holds finalists; go on with: finalists {folder.parent}"
        )
    source = str(folder / "config.yaml")
    before = load_config(source)
    after = load_config(source, overrides)
    if wrong := changed_settings(before, after):
        raise ValueError(f"--set {wrong}: {UNCHANGEABLE}")
    return after


def changed_settings(before: SearchConfig, after: SearchConfig) -> str | None:
    """The first setting that differs and may not, when a search goes on."""
    # in the order of the schema, so that the first named is always the same
    for name in type(before).model_fields:
        if name not in RAISABLE and getattr(before, name) != getattr(after, name):
            return name
    return None


def this_environment(task: Task, images: Mapping[str, object]) -> dict[str, object]:
    """What the search runs on: machine, devices, versions, and what its data asks of a network."""
    indices = range(torch.cuda.device_count())
    gpus = [device_name(torch.device("cuda", index)) for index in indices]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": device_name(torch.device("cpu")),
        "cores": os.cpu_count(),
        "gpus": gpus,
        "packages": {name: _version(name) for name in RECORDED_PACKAGES},
        "task": asdict(task),
        "images": dict(images),
    }


def task_of(run: Path) -> Task | None:
    """What the search's images asked of its networks; None if the run is not there, or does not say."""
    try:
        environment = json.loads((run / "environment.json").read_text())
        return Task(**environment["task"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def images_of(run: Path) -> dict[str, object]:
    """What tells the search's images from others (``Dataset.content``); empty if the run does not say."""
    try:
        environment = json.loads((run / "environment.json").read_text())
        return dict(environment["images"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def check_images(run: Path, now: Mapping[str, object]) -> None:
    """``ValueError`` if a search would go on with other images than it began with."""
    if change := changed_images(images_of(run), now):
        raise ValueError(
            f"{run}: cannot go on, {change}; so its trials would not compare; begin a new search"
        )


def check_fidelity(run: Path, events: Iterable[Event], now: str | None) -> None:
    """``ValueError`` if a search would go on with trainings that cost or see something else than those before."""
    epochs = (event.content for event in events)
    told = (
        each.metrics.get("fidelity") for each in epochs if isinstance(each, EpochEnded)
    )
    before = next((each for each in told if each), None)
    if before and now and before != now:
        raise ValueError(
            f"{run}: cannot go on, its trainings were of {before} and would be of {now}; so its trials would not "
            "compare; begin a new search, or set training and data as they were"
        )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
