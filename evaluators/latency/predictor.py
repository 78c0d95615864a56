"""Latency of a network from its blocks, each measured once: for filtering, never in place of a measurement."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evaluators.devices.seeding import seeded
from evaluators.evaluator import Metrics
from evaluators.latency.latency import Latency
from evaluators.latency.result import LatencyResult
from evaluators.latency.table import LatencyTable, default_table
from search_spaces import Arch, SearchSpace, Tally, Task, build, complexity
from search_spaces.arch import canonical
from search_spaces.blocks.ends import End
from search_spaces.sampling.limits import CostLimits

BLOCK_SECONDS = 0.3
BLOCK_INTERVAL = 0.02
LEAST_CALIBRATION = 4
"""Networks to calibrate with."""


@dataclass(frozen=True)
class PredictorError:
    """Mean absolute percentage error and Kendall's tau-b of predictions on ``networks`` measured networks."""

    mape: float
    tau: float
    networks: int


@dataclass(frozen=True)
class PredictedLatency:
    """Latency in milliseconds predicted from a table of blocks, for the device and settings of ``latency``.

    A network is its stem, blocks and head, each measured alone on maps of the shape it meets; of a part the
    shortest time counts, which others' work disturbs least. ``calibration`` networks drawn from the space
    (inside ``limits``, see ``SearchSpace.samples``) and measured whole tell what measuring in parts adds or
    leaves out. All that is measured stays in ``table`` (None: ``default_table()``).

    ``predicted_latency_mape`` is the predictor's own error: that of each network of the calibration,
    predicted by a fit to the others.
    """

    latency: Latency
    space: SearchSpace
    calibration: int = 16
    seed: int = 0
    table: str | None = None
    limits: CostLimits = field(default_factory=dict)

    metrics: ClassVar[tuple[str, ...]] = (
        "predicted_latency_ms",
        "predicted_latency_mape",
    )

    def __post_init__(self) -> None:
        if self.calibration < LEAST_CALIBRATION:
            raise ValueError(
                f"calibration must be at least {LEAST_CALIBRATION} networks, not {self.calibration}"
            )

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        calibration = self._calibration
        yield {
            "predicted_latency_ms": calibration.predict(self._parts(arch)),
            "predicted_latency_mape": calibration.mape,
            "predicted_latency_device": self.latency.signature,
        }

    def error(self, archs: Sequence[Arch]) -> PredictorError:
        """Compare predictions with measurements, which are taken where the table has none."""
        calibration = self._calibration
        parts = [self._parts(arch) for arch in archs]
        predicted = np.array([calibration.predict(each) for each in parts])
        measured = np.array([self._whole(arch) for arch in archs])
        # here, because evaluators train and measure where there is no SciPy
        import scipy

        tau = float(scipy.stats.kendalltau(predicted, measured).statistic)
        return PredictorError(mape(predicted, measured), tau, len(archs))

    @cached_property
    def _calibration(self) -> Calibration:
        archs = self._calibrating()
        return Calibration.fit(
            np.array([self._parts(arch) for arch in archs]),
            np.array([self._whole(arch) for arch in archs]),
        )

    def _calibrating(self) -> list[Arch]:
        """Random networks of the space, different ones; all that there are where they are few."""
        archs: list[Arch] = []
        draws = self.space.samples(
            np.random.default_rng(self.seed), self.limits, self.latency.task
        )
        while len(archs) < self.calibration:
            try:
                archs.append(next(draws))
            except ValueError:
                if len(archs) < LEAST_CALIBRATION:
                    raise
                break
        return archs

    def _parts(self, arch: Arch) -> tuple[float, float]:
        """Sum of the parts in milliseconds, and the network's activations in millions."""
        task = self.latency.task
        return sum(map(self._part, parts_of(arch, task))), complexity(
            arch, task
        ).activations / 1e6

    def _part(self, part: Part) -> float:
        latency = replace(
            self.latency,
            task=part.task,
            # the errors of tens of parts average out in their sum
            interval=max(BLOCK_INTERVAL, self.latency.interval),
            max_seconds=min(BLOCK_SECONDS, self.latency.max_seconds),
        )
        return self._measured(
            latency, part.name, part.build, lambda result: result.min_ms
        )

    def _whole(self, arch: Arch) -> float:
        task = self.latency.task
        name = f"network {arch.id} {task}"
        return self._measured(
            self.latency,
            name,
            lambda: build(arch, task),
            lambda result: result.median_ms,
        )

    def _measured(
        self,
        latency: Latency,
        name: str,
        build: Callable[[], nn.Module],
        time: Callable[[LatencyResult], float],
    ) -> float:
        def measure() -> float:
            with seeded(self.seed, torch.device("cpu")):
                model = build()
            # what the table keeps outlives the disturbance
            return time(replace(latency, keep_disturbed=False).measure_alone(model))

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
        task = Task(resolution=x.height, channels=x.channels)
        parts.append(Part(name, build, task))

    stem = description.stem
    head = description.head
    add(f"{canonical(stem)} {task}", partial(_sequential, stem, task))
    stem.cost(x, task)
    for block in chain.from_iterable(description.stages):
        add(canonical(block), block.build)
        # only to follow the shape
        block.cost(x)
    classes = f"{task.num_classes} classes"
    add(f"{canonical(head)} {classes}", partial(_sequential, head, task))
    return parts


def _sequential(end: End, task: Task) -> nn.Module:
    return nn.Sequential(OrderedDict(end.layers(task)))


@dataclass(frozen=True)
class Calibration:
    """Latency = ``scale`` x sum of the parts + ``per_activation`` x activations, in milliseconds.

    Alone, a part finds its maps in the caches; in a network they have to come from memory the more there are.
    """

    scale: float
    per_activation: float
    mape: float

    @classmethod
    def fit(
        cls, parts: NDArray[np.float64], measured: NDArray[np.float64]
    ) -> Calibration:
        """Least squares of the relative error; ``parts`` (networks, 2): sums and millions of activations.

        ``mape`` is that of every network under the fit to the others.
        """
        left_out = [
            # leave one out: each network is predicted by a fit that has not seen it
            parts[i] @ _relative_fit(np.delete(parts, i, 0), np.delete(measured, i))
            for i in range(len(measured))
        ]
        scale, per_activation = map(float, _relative_fit(parts, measured))
        return cls(scale, per_activation, mape(np.array(left_out), measured))

    def predict(self, parts: tuple[float, float]) -> float:
        total, activations = parts
        return self.scale * total + self.per_activation * activations


def _relative_fit(
    features: NDArray[np.float64], measured: NDArray[np.float64]
) -> NDArray[np.float64]:
    # least squares of (prediction / truth - 1)
    weighted = features / measured[:, None]
    solution = np.linalg.lstsq(weighted, np.ones(len(measured)))[0]
    return solution.astype(np.float64)


def mape(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> float:
    """Mean absolute percentage error, as a share."""
    return float(np.mean(np.abs(predicted - measured) / measured))
