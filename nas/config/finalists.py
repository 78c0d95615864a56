"""How the best networks of a search are trained in full."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, Strict

from nas.config.fields import Config


class FinalistsConfig(Config):
    """``networks`` of a search are trained in full, on all images, beside baselines under the same limits.

    ``recipe`` is a preset of ``retrain`` or a YAML file, ``training`` holds settings that differ from it, such as
    ``epochs``. After ``min_epochs`` (default: half of the training), then ``eta`` times as many, and so on, the
    best ``1/eta`` go on; ``min_epochs`` of as many as the training has lets all go on to the end. Networks too
    close to call get further seeds, up to ``seeds`` trainings each. ``hours`` ends it before.

    Baselines are the ``published`` network of each family that fits, as many networks drawn at ``random`` as there
    are finalists (or this many), and the user's own: published ones by name, or JSON files.
    """

    networks: int = Field(8, ge=1)
    recipe: str = "fast"
    training: dict[str, Any] = Field(default_factory=dict)
    eta: int = Field(2, ge=2)
    min_epochs: int | None = Field(None, ge=1)
    seeds: int = Field(3, ge=1)
    hours: float | None = Field(None, gt=0)
    published: bool = True
    random: int | None = Field(None, ge=0)
    baselines: Annotated[tuple[str, ...], Strict(False)] = ()

    @property
    def random_networks(self) -> int:
        """How many are drawn at random."""
        return self.networks if self.random is None else self.random


class SelectConfig(Config):
    """Which of the networks trained in full is delivered, as the options of ``select`` say it.

    By default the best in the first objective.
    """

    maximize: str | None = None
    minimize: str | None = None
    under: dict[str, float] = Field(default_factory=dict)
    over: dict[str, float] = Field(default_factory=dict)
    knee: bool = False
    near: dict[str, float] = Field(default_factory=dict)


class ExportConfig(Config):
    """What the model folder holds beside weights and card: ``onnx``, and a ``program`` of ``torch.export``."""

    onnx: bool = False
    program: bool = False
