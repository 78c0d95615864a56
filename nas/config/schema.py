"""A search as one complete, typed, saved value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    Strict,
    field_validator,
    model_validator,
)

from evaluators import DataSettings, Recipe
from evaluators.fields import from_values
from evaluators.latency.settings import LatencySettings
from nas.budget import Budget, Plateau
from nas.config.fields import Config, Made, named
from nas.config.finalists import ExportConfig, FinalistsConfig, SelectConfig
from nas.config.searched_recipe import SearchedRecipe, plain_values, recipe_of
from nas.stopper.asha import Stopper, make_stopper
from results.limits import Limit
from results.objectives import Directions
from search_spaces import SearchSpace, get_space
from search_spaces.extension import nearest
from search_spaces.joint import JointSpace


def data_settings(value: object) -> DataSettings:
    """``digits`` for short is ``{name: digits}``."""
    return from_values(DataSettings, named(value))


class SpaceConfig(RootModel[Any]):
    """A space by name with the knobs to narrow as further keys, or a list of such spaces: their union."""

    model_config = ConfigDict(frozen=True)

    root: Any = {"name": "resnest"}

    @model_validator(mode="after")
    def _exists(self) -> SpaceConfig:
        self.build()
        return self

    def build(self) -> SearchSpace:
        if isinstance(self.root, Mapping) and "name" not in self.root:
            return get_space("resnest", **self.root)
        return get_space(
            self.root if isinstance(self.root, list | tuple) else [self.root]
        )


class SamplerConfig(Config):
    """A sampler by name (``nas.samplers.registry.SAMPLERS``, or ``module:Name``) and its options."""

    model_config = ConfigDict(extra="allow")

    name: str = "evolution"


class StopperConfig(Config):
    """A stopping rule by name (``nas.stopper.asha.STOPPERS``, or ``module:Name``) and its options.

    ``instead`` has trials judged on the way by another metric than an objective:
    ``{accuracy: {validation_loss: min}}``.
    """

    model_config = ConfigDict(extra="allow")

    name: str = "none"
    instead: dict[str, dict[str, Literal["max", "min"]]] = Field(default_factory=dict)

    def build(self, objectives: Directions, max_epochs: int) -> Stopper:
        watched = self._watched(objectives)
        return make_stopper(self.name, watched, max_epochs, self.model_extra)

    def _watched(self, objectives: Directions) -> dict[str, str]:
        for name in self.instead:
            if name not in objectives:
                raise ValueError(
                    f"stopper.instead: {name} is no objective{nearest(name, objectives)}"
                )
        watched: dict[str, str] = {}
        for name, way in objectives.items():
            watched |= self.instead.get(name, {name: way})
        return watched


@dataclass(frozen=True, kw_only=True)
class LatencyConfig(LatencySettings):
    """How latency is measured, and where.

    ``resource`` names a Ray resource of the nodes that are kept for it: it is measured there, one network at
    a time, and not where the trial runs.
    """

    resource: str | None = None


class PredictedLatencyConfig(Config):
    """How many networks calibrate the predictor; the file that keeps what it measured (None: user cache)."""

    calibration: int = Field(16, ge=4)
    table: str | None = None


class ResourcesConfig(Config):
    """What one trial gets. ``gpus`` None: 1 where the device is CUDA, else 0; fractions share a GPU."""

    cpus: float = Field(1, gt=0)
    gpus: float | None = Field(None, ge=0)


class PlateauConfig(Config):
    """The hypervolume grew by no more than the share ``gain`` in the last ``trials`` complete trials."""

    trials: int = Field(ge=1)
    gain: float = Field(0.01, ge=0)


class StopConfig(Config):
    """What ends a search before ``trials`` do: hours of work, epochs of all trials together, a plateau."""

    hours: float | None = Field(None, gt=0)
    epochs: int | None = Field(None, ge=1)
    plateau: PlateauConfig | None = None


NO_CLIENT = "Ray Client (ray://) cannot run Tune; start the search on a node, with auto"


class RayConfig(Config):
    """The cluster: ``local`` starts one on this machine; ``auto`` or ``host:port`` join one.

    ``runtime_env`` is Ray's: what a worker needs that its node lacks. A cluster that boots, or grows, is waited
    for ``wait_minutes``.
    """

    address: str = "local"
    wait_minutes: float = Field(10, ge=0)
    runtime_env: dict[str, Any] = Field(default_factory=dict)

    @field_validator("address")
    @classmethod
    def _no_ray_client(cls, address: str) -> str:
        if address.startswith("ray://"):
            raise ValueError(NO_CLIENT)
        return address


class SearchConfig(Config):
    """Everything that decides a search.

    ``space`` may be a list: all its families are searched together. Where a setting of ``training`` is a list of
    choices, it is searched with the network.
    ``reference_point`` bounds the hypervolume (one value per objective); without it the worst value seen does.
    ``size_gain`` is the accuracy of the short training that twice the parameters make up for in the long one
    (``proxy-study`` tells); the sampler and the choice of finalists count it.
    ``limits`` bound metrics: a number is the most, ``[low, high]`` or ``{min, max}`` a range. ``start_from`` names
    networks to try first: published ones, JSON files, run folders.
    ``evaluators`` run in the order given: built-in names or ``module:Name``, called with the task.
    ``device`` is where networks train: ``auto``, ``cpu``, ``cuda``.
    ``engine`` runs the trials: ``ray``, ``serial`` (one at a time, in this process), or ``module:Name``.
    ``storage`` takes the checkpoints of running trials, a URL if the nodes share no folder.
    ``loggers`` are ``tensorboard``, ``mlflow``, ``wandb`` or ``module:Name`` of Ray's callback interface.
    ``finalists`` says how the search's best networks are trained in full when it is over; None: they are not.
    ``select`` says which of them becomes the model folder ``model``, ``export`` what that holds.
    """

    space: Annotated[SpaceConfig, BeforeValidator(named)] = SpaceConfig()
    objectives: dict[str, Literal["max", "min"]] = Field(
        default={"accuracy": "max", "latency_ms": "min", "flops": "min"}, min_length=1
    )
    reference_point: dict[str, float] | None = None
    size_gain: float = Field(0, ge=0, lt=1)
    limits: dict[str, Annotated[Limit, Made(Limit.of)]] = Field(default_factory=dict)
    trials: int = Field(24, ge=1)
    seed: int = Field(0, ge=0)
    sampler: Annotated[SamplerConfig, BeforeValidator(named)] = SamplerConfig()
    start_from: Annotated[tuple[str, ...], Strict(False)] = ()
    stopper: Annotated[StopperConfig, BeforeValidator(named)] = StopperConfig()
    data: Annotated[DataSettings, Made(data_settings)] = DataSettings()
    training: Annotated[Recipe, Made(recipe_of, plain_values)] = Recipe()
    latency: Annotated[LatencyConfig, Made()] = LatencyConfig()
    predicted_latency: PredictedLatencyConfig = PredictedLatencyConfig()
    evaluators: Annotated[tuple[str, ...], Strict(False)] = (
        "complexity",
        "latency",
        "training",
    )
    device: str = "auto"
    resources: ResourcesConfig = ResourcesConfig()
    stop: StopConfig = StopConfig()
    engine: str = "ray"
    ray: RayConfig = RayConfig()
    storage: str | None = None
    loggers: Annotated[tuple[str, ...], Strict(False)] = ()
    finalists: FinalistsConfig | None = None
    select: SelectConfig | None = None
    export: ExportConfig = ExportConfig()

    @property
    def search_space(self) -> SearchSpace:
        """The networks, with what of their training is searched."""
        networks = self.space.build()
        if isinstance(self.training, SearchedRecipe):
            return JointSpace(networks, self.training.choices)
        return networks

    @property
    def budget(self) -> Budget:
        stop = self.stop
        plateau = self.stop.plateau
        # the budget knows nothing of settings
        flat = None if plateau is None else Plateau(plateau.trials, plateau.gain)
        return Budget(self.trials, stop.hours, stop.epochs, flat)

    @model_validator(mode="after")
    def _finalists_are_there(self) -> SearchConfig:
        if self.select is not None and self.finalists is None:
            raise ValueError(
                "select is of finalists; add finalists, e.g. {networks: 8}"
            )
        if self.finalists is not None and self.finalists.networks > self.trials:
            raise ValueError(
                f"finalists.networks {self.finalists.networks} is more than all {self.trials} trials"
            )
        return self

    @model_validator(mode="after")
    def _stopper_exists(self) -> SearchConfig:
        # built and thrown away: a wrong option is refused here, not in the middle of a search
        self.stopper.build(self.objectives, self.training.epochs)
        return self

    @model_validator(mode="after")
    def _size_gain_is_of_accuracy(self) -> SearchConfig:
        if self.size_gain and self.objectives.get("accuracy") != "max":
            raise ValueError(
                "size_gain corrects accuracy, and accuracy is no objective to maximize; 0 is none"
            )
        if self.size_gain and "accuracy" in self.limits:
            raise ValueError(
                "limits.accuracy bounds what is measured, size_gain corrects it: give one of them"
            )
        if self.size_gain and "complexity" not in self.evaluators:
            raise ValueError(
                "size_gain needs evaluator complexity, which counts the parameters"
            )
        return self

    @model_validator(mode="after")
    def _reference_point_covers_objectives(self) -> SearchConfig:
        if (
            self.reference_point is not None
            and self.reference_point.keys() != self.objectives.keys()
        ):
            raise ValueError(
                f"reference_point needs exactly the objectives {', '.join(self.objectives)}, it has "
                f"{', '.join(self.reference_point) or 'none'}; null lets the worst values seen bound it"
            )
        return self
