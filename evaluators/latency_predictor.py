"""Latency of a network from its blocks, each measured once: for filtering, never in place of a measurement."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from search_spaces import Arch, SearchSpace, Tally, Task, build
from search_spaces.arch import canonical
from search_spaces.layers import End

from .evaluator import Metrics
from .latency import Latency
from .latency_table import LatencyTable, default_table
from .seeding import seeded

BLOCK_SECONDS = 0.3
BLOCK_INTERVAL = 0.02


@dataclass(frozen=True)
class PredictorError:
    """Mean absolute percentage error and Kendall's tau-b of predictions on ``networks`` measured networks."""

    mape: float
    tau: float
    networks: int


@dataclass(frozen=True)
class PredictedLatency:
    """Latency in milliseconds predicted from a table of blocks, for the device and settings of ``latency``.

    A network is its stem, blocks and head, each measured alone on maps of the shape it meets. A line through
    the sums of ``calibration`` networks drawn from the space, measured whole, takes away what measuring in
    parts adds or leaves out. All that is measured stays in ``table`` (None: ``default_table()``).

    ``predicted_latency_mape`` is the predictor's own error: that of each network of the calibration,
    predicted with the line through the others.
    """

    latency: Latency
    space: SearchSpace
    calibration: int = 12
    seed: int = 0
    table: str | None = None

    metrics: ClassVar[tuple[str, ...]] = ("predicted_latency_ms", "predicted_latency_mape")

    def __post_init__(self) -> None:
        if self.calibration < 4:
            raise ValueError(f"calibration must be at least 4 networks, not {self.calibration}")

    def evaluate(self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None) -> Iterator[Metrics]:
        calibration = self._calibration()
        yield {
            "predicted_latency_ms": calibration.predict(self._parts(arch)),
            "predicted_latency_mape": calibration.mape,
            "predicted_latency_device": self.latency.signature,
        }

    def error(self, archs: Sequence[Arch]) -> PredictorError:
        """Compare predictions with measurements, which are taken where the table has none."""
        calibration = self._calibration()
        predicted = np.array([calibration.predict(self._parts(arch)) for arch in archs])
        measured = np.array([self._whole(arch) for arch in archs])
        return PredictorError(mape(predicted, measured), kendall_tau(predicted, measured), len(archs))

    def _calibration(self) -> Calibration:
        rng = np.random.default_rng(self.seed)
        archs = [self.space.sample(rng) for _ in range(self.calibration)]
        return Calibration.fit(
            np.array([self._parts(arch) for arch in archs]), np.array([self._whole(arch) for arch in archs])
        )

    def _parts(self, arch: Arch) -> tuple[float, float]:
        """Sum of the parts in milliseconds, and their number."""
        times = [self._part(part) for part in parts_of(arch, self.latency.task)]
        return sum(times), len(times)

    def _part(self, part: Part) -> float:
        latency = replace(
            self.latency,
            task=part.task,
            interval=max(BLOCK_INTERVAL, self.latency.interval),
            max_seconds=min(BLOCK_SECONDS, self.latency.max_seconds),
        )
        return self._measured(latency, part.name, part.build)

    def _whole(self, arch: Arch) -> float:
        task = self.latency.task
        return self._measured(self.latency, f"network {arch.id} {task}", lambda: build(arch, task))

    def _measured(self, latency: Latency, name: str, build: Callable[[], nn.Module]) -> float:
        def measure() -> float:
            with seeded(self.seed, torch.device("cpu")):
                model = build()
            # what the table keeps outlives the disturbance
            return replace(latency, keep_disturbed=False).measure_alone(model).median_ms

        table = LatencyTable(Path(self.table) if self.table else default_table())
        return table.get(latency.signature, name, measure)


class Part(NamedTuple):
    """A piece of a network that can be measured alone, on images of ``task`` that stand for its input."""

    name: str
    build: Callable[[], nn.Module]
    task: Task


def parts_of(arch: Arch, task: Task) -> list[Part]:
    """Stem, blocks and head of the network, in order."""
    description = arch.describe()
    x = Tally(task.channels, task.resolution, task.resolution)
    parts = []

    def add(name: str, build: Callable[[], nn.Module]) -> None:
        parts.append(Part(name, build, Task(resolution=x.height, channels=x.channels)))

    add(f"{canonical(description.stem)} {task}", partial(_sequential, description.stem, task))
    description.stem.cost(x, task)
    for block in chain.from_iterable(description.stages):
        add(canonical(block), block.build)
        block.cost(x)
    add(
        f"{canonical(description.head)} {task.num_classes} classes",
        partial(_sequential, description.head, task),
    )
    return parts


def _sequential(end: End, task: Task) -> nn.Module:
    return nn.Sequential(OrderedDict(end.layers(task)))


@dataclass(frozen=True)
class Calibration:
    """Latency = ``overhead`` + ``per_part`` x parts + ``scale`` x sum of the parts, in milliseconds."""

    overhead: float
    per_part: float
    scale: float
    mape: float

    @classmethod
    def fit(cls, parts: NDArray[np.float64], measured: NDArray[np.float64]) -> Calibration:
        """Least squares of the relative error; ``parts`` (networks, 2): sums and numbers.

        ``mape`` is that of every network under the fit to the others.
        """
        features = np.column_stack((np.ones(len(parts)), parts[:, 1], parts[:, 0]))
        left_out = [
            features[i] @ _relative_fit(np.delete(features, i, 0), np.delete(measured, i))
            for i in range(len(measured))
        ]
        overhead, per_part, scale = map(float, _relative_fit(features, measured))
        return cls(overhead, per_part, scale, mape(np.array(left_out), measured))

    def predict(self, parts: tuple[float, float]) -> float:
        total, count = parts
        return self.overhead + self.per_part * count + self.scale * total


def _relative_fit(features: NDArray[np.float64], measured: NDArray[np.float64]) -> NDArray[np.float64]:
    weighted = features / measured[:, None]
    return np.linalg.lstsq(weighted, np.ones(len(measured)))[0].astype(np.float64)


def mape(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> float:
    """Mean absolute percentage error, as a share."""
    return float(np.mean(np.abs(predicted - measured) / measured))


def kendall_tau(a: Sequence[float] | NDArray[np.float64], b: Sequence[float] | NDArray[np.float64]) -> float:
    """Kendall's tau-b: rank correlation, with ties; NaN where one of them does not vary."""
    signs_a, signs_b = (np.sign(np.subtract.outer(values, values)) for values in (a, b))
    return float((signs_a * signs_b).sum() / np.sqrt((signs_a**2).sum() * (signs_b**2).sum()))
