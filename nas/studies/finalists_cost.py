"""What training the finalists in full would take, told before the search begins."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evaluators import Recipe, load
from evaluators.training.fidelity import Fidelity
from nas.config.finalists import FinalistsConfig
from nas.config.schema import SearchConfig
from nas.finalists.baselines import families
from nas.finalists.in_full import full_images, full_recipe
from nas.problem import Problem
from nas.stopper.halving import rungs_below


@dataclass(frozen=True)
class Trainings:
    """So many epochs of all networks together, and how many networks reach the end."""

    epochs: int
    finished: int


@dataclass(frozen=True)
class FinalistsCost:
    """``hours`` from all networks being the smallest, none trained twice, to all the largest, with all seeds.

    ``baselines`` are there at most: of a published network it is not known yet whether it fits. The shortest
    training alone takes ``shortest`` hours.
    """

    networks: int
    baselines: int
    hours: tuple[float, float]
    shortest: float


def finalists_cost(
    config: SearchConfig, seconds_an_image: tuple[float, float], at_once: int
) -> FinalistsCost | None:
    """None where the settings ask for no finalists; a trained image takes the smallest and largest so long."""
    settings = config.finalists
    if settings is None:
        return None
    recipe = full_recipe(settings)
    images = _images_an_epoch(config, settings, recipe)
    random = settings.random_networks
    published = _published(config) if settings.published else 0
    fields = [
        halved(count, recipe.epochs, settings) for count in (settings.networks, random)
    ]
    sure = sum(field.epochs for field in fields)
    sure += recipe.epochs * len(settings.baselines)
    # of the random networks only the best is trained again
    rivals = fields[0].finished + (random > 0) + len(settings.baselines) + published
    most = sure + recipe.epochs * (published + rivals * (settings.seeds - 1))
    low, high = (
        epochs * images * seconds / at_once / 3600
        for epochs, seconds in zip((sure, most), seconds_an_image, strict=True)
    )
    ceiling = math.inf if settings.hours is None else settings.hours
    baselines = random + published + len(settings.baselines)
    shortest = recipe.epochs * images * seconds_an_image[0] / 3600
    hours = min(low, ceiling), min(high, ceiling)
    return FinalistsCost(settings.networks, baselines, hours, shortest)


def halved(count: int, epochs: int, settings: FinalistsConfig) -> Trainings:
    """What successive halving of ``count`` networks trains."""
    trained = 0
    last = 0
    for rung in rungs_below(epochs, settings.min_epochs, settings.eta):
        # all that are left train on to the rung, then the best 1/eta go on
        trained += count * (rung - last)
        count = math.ceil(count / settings.eta)
        last = rung
    return Trainings(trained + count * (epochs - last), count)


def _images_an_epoch(
    config: SearchConfig, settings: FinalistsConfig, recipe: Recipe
) -> float:
    """Trained on, and validated on at a third of the price."""
    images = full_images(settings, config.data)
    fidelity = Fidelity.of(load(images.absolute()), recipe)
    return fidelity.visits + fidelity.validated / 3


def _published(config: SearchConfig) -> int:
    problem = Problem(config.space.build(), config.objectives)
    return len(families(problem))
