"""A search as one complete, typed, saved value."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator, with_config

from evaluators import DataSettings, Recipe
from search_spaces import SearchSpace, get_space

STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)
with_config(STRICT)(Recipe)
with_config(STRICT)(DataSettings)


def named(value: Any) -> Any:
    """``resnest`` for short is ``{name: resnest}``."""
    return {"name": value} if isinstance(value, str) else value


class SpaceConfig(BaseModel):
    """A space by name (built in, or ``module:Name``) and, as further keys, the knobs to narrow."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: str = "resnest"

    @model_validator(mode="after")
    def _exists(self) -> SpaceConfig:
        self.build()
        return self

    def build(self) -> SearchSpace:
        return get_space(self.name, **(self.model_extra or {}))


class SamplerConfig(BaseModel):
    """A sampler by name (``nas.proposer.SAMPLERS``, or ``module:Name``) and its options."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    name: str = "nsga2"


class LatencyConfig(BaseModel):
    """How latency is measured; numbers of different settings never compare. ``device`` None: the training's."""

    model_config = STRICT

    device: str | None = None
    batch_size: int = Field(1, ge=1)
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    threads: int = Field(1, ge=1)
    channels_last: bool = False
    max_seconds: float = Field(1.0, gt=0)


class ResourcesConfig(BaseModel):
    """What one trial gets. ``gpus`` None: 1 where the device is CUDA, else 0; fractions share a GPU."""

    model_config = STRICT

    cpus: float = Field(1, gt=0)
    gpus: float | None = Field(None, ge=0)


class SearchConfig(BaseModel):
    """Everything that decides a search.

    ``reference_point`` bounds the hypervolume (one value per objective); without it the worst value seen does.
    ``evaluators`` run in the order given: built-in names or ``module:Name``, called with the task.
    ``device`` is where networks train: ``auto``, ``cpu``, ``cuda``.
    """

    model_config = STRICT

    space: Annotated[SpaceConfig, BeforeValidator(named)] = SpaceConfig()
    objectives: dict[str, Literal["max", "min"]] = Field(
        default={"accuracy": "max", "latency_ms": "min", "flops": "min"}, min_length=1
    )
    reference_point: dict[str, float] | None = None
    trials: int = Field(24, ge=1)
    seed: int = Field(0, ge=0)
    sampler: Annotated[SamplerConfig, BeforeValidator(named)] = SamplerConfig()
    data: Annotated[DataSettings, BeforeValidator(named)] = DataSettings()
    training: Recipe = Recipe()
    latency: LatencyConfig = LatencyConfig()
    evaluators: Annotated[tuple[str, ...], Strict(False)] = ("complexity", "latency", "training")
    device: str = "auto"
    resources: ResourcesConfig = ResourcesConfig()

    @model_validator(mode="after")
    def _reference_point_covers_objectives(self) -> SearchConfig:
        if self.reference_point is not None and self.reference_point.keys() != self.objectives.keys():
            raise ValueError(
                f"reference_point needs exactly the objectives {', '.join(self.objectives)}, it has "
                f"{', '.join(self.reference_point) or 'none'}; null lets the worst values seen bound it"
            )
        return self
