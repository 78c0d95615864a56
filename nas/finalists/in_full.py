"""What training in full means, as far as it depends on no network: all of it can be checked before a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial

from evaluators import DataSettings, Recipe
from evaluators.fields import from_values
from nas.config.fields import named
from nas.config.finalists import FinalistsConfig
from nas.config.loading import built, presets, read_values
from nas.config.schema import SearchConfig
from nas.exporting.programs import onnx_runtime
from nas.retraining.plan import (
    IDENTIFYING,
    OTHERS,
    RECIPES,
    TRAINING,
    check_full,
    check_names,
)
from results.wording import counted


def check_finalists(config: SearchConfig) -> None:
    """``ValueError`` for what the settings want after the search and would not get, before that is paid for."""
    settings = config.finalists
    if settings is None:
        return
    check_trained(config.evaluators)
    full_recipe(settings)
    full_images(settings, config.data)
    if config.select is not None and config.export.onnx:
        onnx_runtime()


def check_trained(evaluators: Sequence[str]) -> None:
    """``ValueError`` where the search trains in another way than finalists are trained in."""
    if "training" not in evaluators:
        raise ValueError(
            "finalists are trained as evaluator training does, and there is "
            f"{', '.join(evaluators)}"
        )


def full_recipe(settings: FinalistsConfig) -> Recipe:
    """How finalists are trained, but for what the search chooses; ``ValueError`` for what is wrong."""
    for name in settings.training:
        # seeds, processes and the like are decided by the finalists themselves
        if name in OTHERS and name != "data":
            raise ValueError(
                f"finalists.training.{name}: is for retrain; finalists have no such setting"
            )
    values = read_values(settings.recipe, (), presets(RECIPES)) | settings.training
    check_names(values, settings.recipe)
    how = {name: values[name] for name in TRAINING if name in values}
    recipe = built(partial(from_values, Recipe), how, settings.recipe)
    check_full(recipe, settings.recipe)
    _check_rungs(settings, recipe.epochs)
    return recipe


def _check_rungs(settings: FinalistsConfig, epochs: int) -> None:
    first = settings.min_epochs
    if first is not None and first > epochs:
        raise ValueError(
            f"finalists.min_epochs {first} is more than the {counted(epochs, 'epoch')} of a "
            f"training; the best go on from it, so take at most {epochs} ({epochs}: all are trained to the end)"
        )


def full_images(settings: FinalistsConfig, searched: DataSettings) -> DataSettings:
    """The images of the search, all of them unless the settings say otherwise; ``ValueError`` for other images."""
    said = named(settings.training.get("data", {}))
    # of what is no mapping from_values says so
    whole = asdict(replace(searched, subset=None))
    given = {**whole, **said} if isinstance(said, Mapping) else said
    images = built(partial(from_values, DataSettings), given, "finalists.training.data")
    for name in IDENTIFYING:
        here, there = (getattr(each.absolute(), name) for each in (images, searched))
        if here != there:
            raise ValueError(
                f"finalists.training.data.{name} is {here} and {there} in the search: finalists "
                "are trained on its images; retrain --other-data takes others"
            )
    return images
