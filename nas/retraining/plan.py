"""A retraining as one complete value: what, on which images, how, how often."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from evaluators import DataSettings, Recipe
from nas.config.fields import Config, Made
from nas.config.loading import presets, read_values, validate
from nas.retraining.source import Origin, find_origin
from results import write_atomic
from search_spaces import Arch, arch_from_dict

MAY_CHANGE = frozenset({"workers", "seeds", "device"})
"""What may differ when a retraining goes on."""
IDENTIFYING = ("name", "root", "resolution")
"""What makes images other images; how many of them are used, and which to validate with, does not."""
RECIPES = "recipes"


class Plan(Config):
    """Everything that decides a retraining; ``full`` trains on the validation images too.

    ``trial`` and ``run`` say where the network was found, ``name`` what its recipe is called.
    """

    arch: dict[str, Any]
    data: Annotated[DataSettings, Made()]
    recipe: Annotated[Recipe, Made()]
    name: str
    full: bool = False
    init: str | None = None
    run: str | None = None
    trial: int | None = None
    seeds: Annotated[int, Field(ge=1)] = 1
    workers: Annotated[int, Field(ge=1)] = 1
    device: str = "cpu"

    @property
    def network(self) -> Arch:
        return arch_from_dict(self.arch)

    def owner(self, seed: int) -> dict[str, Any]:
        """What a checkpoint must agree on to be gone on from."""
        images = asdict(self.data) | {"cache": None, "download": False}
        own = {"recipe": asdict(self.recipe), "data": images, "full": self.full, "init": self.init}
        return {"arch": self.network.id, "seed": seed, **own}


def make_plan(
    source: str,
    *,
    trial: int | None = None,
    recipe: str = "fast",
    overrides: Iterable[str] = (),
    data: str | None = None,
    other_data: bool = False,
    **options: Any,
) -> tuple[Plan, Origin]:
    """The plan that the options amount to, and where its network comes from.

    ``recipe`` is a preset or a YAML file of ``Recipe``'s fields; overrides ``data.KEY=VALUE`` are of the images,
    ``full=true`` trains on the validation images too, the others are of the recipe. Images and, where the recipe
    says nothing of it, augmentation are the search's.

    Raises:
        ValueError: naming the setting that is wrong, or the one in which the images are not the search's.
    """
    origin, given = find_origin(source, trial), list(overrides)
    images = [each.removeprefix("data.") for each in given if each.startswith("data.")]
    how = [each for each in given if not each.startswith("data.")]
    values = read_values(recipe, how, presets(RECIPES))
    full = values.pop("full", False)
    if "augment" not in values and origin.training is not None:
        values["augment"] = asdict(origin.training.augment)
    settings = validate({"training": values, "data": _data(origin, data, images)}, recipe)
    if not other_data:
        check_settings(settings.data, origin)
    plan = Plan(
        arch=origin.arch.to_dict(),
        data=settings.data.absolute(),
        recipe=settings.training,
        name=Path(recipe).stem,
        full=full,
        run=str(origin.run) if origin.run else None,
        trial=origin.trial,
        **options,
    )
    return plan, origin


def _data(origin: Origin, name: str | None, overrides: list[str]) -> dict[str, Any]:
    if name is None and origin.data is None:
        raise ValueError("--data: nothing says on which images; name them, e.g. --data digits")
    start = {"name": name} if name else asdict(origin.data or DataSettings())
    if name and origin.data is not None and name == origin.data.name:
        start = asdict(origin.data)
    return read_values("data", overrides, {"data": json.dumps(start)})


def check_settings(data: DataSettings, origin: Origin) -> None:
    """``ValueError`` if the images are not the search's; a published search does not say where they lay."""
    if origin.data is None:
        return
    ours, theirs = data.absolute(), origin.data.absolute()
    for name in IDENTIFYING:
        here, there = getattr(ours, name), getattr(theirs, name)
        if here != there and not (name == "root" and there is None):
            raise ValueError(
                f"data.{name} is {here} and was {there} in the search, whose choice may not hold there; "
                "--other-data retrains nevertheless"
            )


def save_plan(folder: Path, plan: Plan) -> None:
    """Also as ``recipe.yaml``, for use with other networks."""
    recipe = json.loads(json.dumps(asdict(plan.recipe))) | {"full": plan.full}
    write_atomic(folder / "recipe.yaml", yaml.safe_dump(recipe, sort_keys=False))
    write_atomic(folder / "plan.json", plan.model_dump_json(indent=2) + "\n")


def load_plan(folder: Path) -> Plan:
    """The plan of a retraining that was begun in ``folder``; ``ValueError`` if there is none."""
    path = folder / "plan.json"
    if not path.is_file():
        raise ValueError(f"{folder}: no retraining to go on with, it holds no plan.json")
    try:
        return Plan(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({str(error).splitlines()[0]})") from error


def check_same(before: Plan, after: Plan, folder: Path) -> None:
    """``ValueError`` naming the first setting in which two plans differ, other than those that may."""
    for name, ours in _flat(after).items():
        theirs = _flat(before)[name]
        if ours != theirs and name.partition(".")[0] not in MAY_CHANGE:
            raise ValueError(
                f"{folder} has a retraining with {name} {theirs}, not {ours}; name a new folder with --out, "
                f"or go on with --resume {folder}"
            )


def _flat(plan: Plan) -> Mapping[str, Any]:
    values = plan.model_dump(mode="json")
    parts = {f"{part}.{key}": value for part in ("data", "recipe") for key, value in values.pop(part).items()}
    return values | {
        name: value for name, value in parts.items() if name not in ("data.cache", "data.download")
    }
