"""A retraining as one complete value: what, on which images, how, how often."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from evaluators import DataSettings, Recipe
from evaluators.data.content import changed_images
from evaluators.fields import field_types, from_values
from evaluators.training.recipe import with_settings
from nas.config.fields import named
from nas.config.loading import built, presets, read_values
from nas.config.pairs import key_of, section_of
from nas.config.retraining import RetrainConfig
from nas.retraining.source import Origin, find_origin
from results import write_atomic
from search_spaces import Arch, arch_from_dict
from search_spaces.extension import nearest
from search_spaces.knobs import KnobValue

TRAINING = tuple(field_types(Recipe))
OTHERS = tuple(name for name in RetrainConfig.model_fields if name != "recipe")
MAY_CHANGE = frozenset({"workers", "seeds", "device", "engine", "resources", "ray"})
"""What may differ when a retraining goes on."""
IDENTIFYING = ("name", "root", "resolution")
"""What makes images other images; how many of them are used, and which to validate with, does not."""
RECIPES = "recipes"
OPTIMIZED = ("lr", "momentum", "weight_decay")
"""Settings whose values are right for one optimiser."""


class Plan(RetrainConfig):
    """A retraining of one network.

    ``trial`` and ``run`` say where the network was found, ``name`` what its recipe is called, ``images`` what the
    images were when it began (``Dataset.content``).
    """

    arch: dict[str, object]
    name: str
    run: str | None = None
    trial: int | None = None
    images: dict[str, object] = Field(default_factory=dict)

    @property
    def network(self) -> Arch:
        return arch_from_dict(self.arch)

    def owner(self, seed: int) -> dict[str, object]:
        """What a checkpoint must agree on to be gone on from."""
        # where images lie, and how they came there, changes no training
        images = asdict(self.data) | {"cache": None, "download": False}
        own = {
            "recipe": asdict(self.recipe),
            "data": images,
            "full": self.full,
            "init": self.init,
        }
        return {
            "arch": self.network.id,
            "seed": seed,
            "images": self.images.get("digest"),
            **own,
        }


def make_plan(
    source: str,
    *,
    trial: int | None = None,
    recipe: str = "fast",
    overrides: Iterable[str] = (),
    data: str | None = None,
    other_data: bool = False,
    tuned: bool = True,
    **settings: object,
) -> tuple[Plan, Origin]:
    """The plan that the settings amount to, and where its network comes from.

    ``recipe`` is a preset or a YAML file. Its keys, and those of ``overrides``, are the fields of ``Recipe``
    and of ``RetrainConfig``; so are ``settings``. Images and, where the recipe says nothing of it,
    augmentation are the search's. If ``tuned``, what the search chose for the network's training goes before
    the recipe, and what is given by hand before that.

    Raises:
        ValueError: naming the setting that is wrong, or the one in which the images are not the search's.
    """
    origin = find_origin(source, trial)
    overrides = tuple(overrides)
    # what Python passes goes over the file and its overrides
    values = read_values(recipe, overrides, presets(RECIPES)) | settings
    check_names(values, recipe)
    images = _images(origin, data, values.pop("data", {}))
    how = {name: values.pop(name) for name in TRAINING if name in values}
    if "augment" not in how and origin.training is not None:
        # a search that left digits unmirrored knew why
        how["augment"] = asdict(origin.training.augment)
    given = given_names(overrides) | settings.keys()
    own = carried_on(origin.settings, origin.training, given) if tuned else {}
    chosen = built(
        lambda plain: with_settings(from_values(Recipe, plain), own), how, recipe
    )
    check_full(chosen, recipe)
    if not other_data:
        check_settings(images, origin)
    config = built(lambda plain: RetrainConfig(**plain), values, recipe)
    plan = Plan(
        **dict(config) | {"recipe": chosen, "data": images.absolute()},
        arch=origin.arch.to_dict(),
        name=Path(recipe).stem,
        run=str(origin.run) if origin.run else None,
        trial=origin.trial,
    )
    return plan, origin


def given_names(overrides: Iterable[str]) -> set[str]:
    """What ``key=value`` pairs are about."""
    return {key_of(each) for each in overrides}


def carried_on(
    settings: Mapping[str, KnobValue], training: Recipe | None, given: Collection[str]
) -> dict[str, KnobValue]:
    """What a search chose for a network's training, for its retraining, without what is ``given`` by hand.

    A learning rate that was found for one optimiser means nothing to another, so that of the search,
    ``training``, comes with it.
    """
    own = dict(settings)
    if training is not None and not own.keys().isdisjoint(OPTIMIZED):
        own.setdefault("optimizer", training.optimizer)
    sections = {name: name.partition(".")[0] for name in own}
    by_hand = (name for name in own if {name, sections[name]} & set(given))
    return {name: own[name] for name in own.keys() - set(by_hand)}


def check_names(values: Iterable[str], source: str) -> None:
    """``ValueError`` naming the first that is neither of ``Recipe`` nor of ``RetrainConfig``."""
    for name in values:
        if name not in (*TRAINING, *OTHERS):
            raise ValueError(
                f"{source}: {name}: unknown key{nearest(name, (*TRAINING, *OTHERS))}"
            )


def check_full(recipe: Recipe, source: str) -> None:
    """``ValueError`` for a recipe that only a short training can have."""
    if recipe.rung_images is not None:
        raise ValueError(
            f"{source}: rung_images: {recipe.rung_images} is for short trainings; a full one keeps its best "
            "epoch, which takes the same validation images after all of them; leave it out"
        )


def _images(origin: Origin, name: str | None, settings: Any) -> DataSettings:
    """The search's images, or those called ``name``, with further ``settings``."""
    settings = named(settings)
    if isinstance(settings, dict):
        name = settings.get("name", name)
        if name is None and origin.data is None:
            raise ValueError(
                "--data: nothing says on which images; name them, e.g. --data digits"
            )
        searched = (
            origin.data if origin.data and name in (None, origin.data.name) else None
        )
        settings = (asdict(searched) if searched else {"name": name}) | settings
    return built(partial(from_values, DataSettings), settings, "data")


def check_settings(data: DataSettings, origin: Origin) -> None:
    """``ValueError`` if the images are not the search's; a published search does not say where they lay."""
    if origin.data is None:
        return
    ours = data.absolute()
    theirs = origin.data.absolute()
    for name in IDENTIFYING:
        here = getattr(ours, name)
        there = getattr(theirs, name)
        # a published search says nothing of folders
        if here != there and not (name == "root" and there is None):
            raise ValueError(
                f"data.{name} is {here} and was {there} in the search, whose choice may not hold there; "
                "--other-data retrains nevertheless"
            )


def save_plan(folder: Path, plan: Plan) -> None:
    """Also as ``recipe.yaml``, for use with other networks."""
    recipe = json.loads(json.dumps(asdict(plan.recipe)))
    recipe["full"] = plan.full
    write_atomic(folder / "recipe.yaml", yaml.safe_dump(recipe, sort_keys=False))
    write_atomic(folder / "plan.json", plan.model_dump_json(indent=2) + "\n")


def load_plan(folder: Path) -> Plan:
    """The plan of a retraining that was begun in ``folder``; ``ValueError`` if there is none."""
    path = folder / "plan.json"
    if not path.is_file():
        raise ValueError(
            f"{folder}: no retraining to go on with, it holds no plan.json"
        )
    try:
        return Plan(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: damaged ({str(error).splitlines()[0]})") from error


def changed_plan(plan: Plan, overrides: Sequence[str]) -> Plan:
    """The plan with overrides of settings that may change; ``ValueError`` naming one that may not."""
    for override in overrides:
        name = section_of(override)
        if name not in MAY_CHANGE:
            may = ", ".join(sorted(MAY_CHANGE))
            raise ValueError(
                f"--set {name}: cannot change when a retraining goes on; {may} can"
            )
    before = {"plan": plan.model_dump_json(include=set(MAY_CHANGE))}
    values = read_values("plan", overrides, before)
    config = built(lambda plain: RetrainConfig(**plain), values, "--set")
    return plan.model_copy(update={name: getattr(config, name) for name in MAY_CHANGE})


def check_same(before: Plan, after: Plan, folder: Path) -> None:
    """``ValueError`` naming the first setting in which two plans differ, other than those that may."""
    for name, ours in _flat(after).items():
        theirs = _flat(before)[name]
        if ours != theirs and name.partition(".")[0] not in MAY_CHANGE:
            raise ValueError(
                f"{folder} has a retraining with {name} {theirs}, not {ours}; name a new folder with --out, "
                f"or go on with --resume {folder}"
            )


def bound(plan: Plan, content: Mapping[str, object], folder: Path) -> Plan:
    """``plan`` for images of this content; ``ValueError`` if the training in ``folder`` began with others."""
    if any(folder.glob("seed-*/*.pt")) and (
        change := changed_images(load_plan(folder).images, content)
    ):
        raise ValueError(
            f"{folder}: cannot go on, {change}; name a new folder with --out"
        )
    return plan.model_copy(update={"images": dict(content)})


def _flat(plan: Plan) -> Mapping[str, object]:
    # ``bound`` compares those
    values = plan.model_dump(mode="json", exclude={"images"})
    parts = {
        f"{part}.{key}": value
        for part in ("data", "recipe")
        for key, value in values.pop(part).items()
    }
    return values | {
        name: value
        for name, value in parts.items()
        if name not in ("data.cache", "data.download")
    }
