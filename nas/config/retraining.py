"""A retraining, and a study of the proxy by retrainings, as typed values."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from evaluators import DataSettings, Recipe
from nas.config.fields import Config, Made
from nas.config.schema import RayConfig, data_settings


class ProcessResources(Config):
    """What each process gets. None: an equal share of the CPUs; one GPU where the device is CUDA, else none."""

    cpus: float | None = Field(None, gt=0)
    gpus: float | None = Field(None, ge=0)


class RetrainConfig(Config):
    """Everything that decides how a network is retrained.

    ``full`` trains on the validation images too. ``init`` names weights to start from: ``official``, a weights
    file or a model folder. ``seeds`` is the number of trainings, ``workers`` that of the processes that share
    every batch. ``device`` is ``auto``, ``cpu`` or ``cuda``; ``engine`` ``serial`` is this process, without Ray.
    """

    recipe: Annotated[Recipe, Made()] = Recipe()
    data: Annotated[DataSettings, Made(data_settings)] = DataSettings()
    full: bool = False
    init: str | None = None
    seeds: int = Field(1, ge=1)
    workers: int = Field(1, ge=1)
    device: str = "cpu"
    engine: Literal["ray", "serial"] = "ray"
    resources: ProcessResources = ProcessResources()
    ray: RayConfig = RayConfig()


class ProxyStudyConfig(Config):
    """``networks`` of a search are retrained; ``seed`` draws those that are not on its front."""

    networks: int = Field(8, ge=1)
    seed: int = Field(0, ge=0)
