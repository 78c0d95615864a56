"""What every part of the check is told: the device, how large to be, where the images are."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import torch

from evaluators import Dataset, DataSettings, Source, Split, load

T = TypeVar("T")
Figures = Mapping[str, float | int | str]


class MissingError(Exception):
    """A part that cannot be measured here, in one line that says why."""


@dataclass(frozen=True)
class Setting:
    """``tiny`` is the dry run: the same code on few and small things, whose figures mean nothing.

    ``data`` is a folder with CIFAR-10; None: images of noise, as many and as large. ``seconds`` is what the part
    may take.
    """

    device: torch.device
    tiny: bool = False
    data: Path | None = None
    seconds: float = 600.0

    @property
    def cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def data_name(self) -> str:
        return "CIFAR-10" if self.data else "noise"

    def size(self, full: T, tiny: T) -> T:
        return tiny if self.tiny else full

    def images(self, count: int) -> Dataset:
        """``count`` images to train and validate on, in the memory of the device."""
        return load(self.data_settings(count), self.device)

    def data_settings(self, count: int, validation: float = 0.1) -> DataSettings:
        if self.data:
            return DataSettings(
                "cifar10", str(self.data), subset=count, validation=validation
            )
        noise = "benchmarks.gpu.setting:" + self.size("shades", "few_shades")
        return DataSettings(noise, subset=count, validation=validation)

    def real_images(self) -> Path:
        if self.data is None:
            raise MissingError("needs CIFAR-10: --data FOLDER")
        return self.data


def shades(count: int = 50_000) -> Source:
    """As large as CIFAR-10, and easy: noise whose mean tells the class."""
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        labels = torch.arange(count) % 10
        noise = torch.randint(
            128, (count, 32, 32, 3), dtype=torch.uint8, generator=generator
        )
        shade = (12 * labels).to(torch.uint8)[:, None, None, None]
        return Split((noise + shade).permute(0, 3, 1, 2), labels)

    return Source(split(count), split(count // 50), small_images=True)


def few_shades() -> Source:
    return shades(1_000)


def needs(*packages: str) -> None:
    """Raises ``MissingError`` unless all are installed."""
    absent = [name for name in packages if find_spec(name) is None]
    if absent:
        raise MissingError(f"needs {' and '.join(absent)}: not installed")


@dataclass(frozen=True)
class Goal:
    """``figure`` should be at least ``least`` and at most ``most``."""

    figure: str
    least: float | None = None
    most: float | None = None

    def met(self, figures: Figures) -> bool:
        value = float(figures[self.figure])
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    def __str__(self) -> str:
        bounds = [
            f"{word} {bound:g}"
            for word, bound in (("at least", self.least), ("at most", self.most))
            if bound is not None
        ]
        return f"{self.figure} {' and '.join(bounds)}"


@dataclass(frozen=True)
class Part:
    """One row: ``run`` in a process of its own, for ``limit`` seconds at most.

    ``images`` tells that its figures depend on the data. ``reserved`` is the share of the time for the whole that
    the parts before leave to it.
    """

    name: str
    run: Callable[[Setting], Figures]
    limit: int = 60
    goals: tuple[Goal, ...] = field(default=())
    images: bool = False
    reserved: float = 0.0


@contextmanager
def exact() -> Iterator[None]:
    """The same numbers every time, and no rounding of inputs: for comparing bit by bit, not for speed.

    cuBLAS asks for its workspace when it is first used, so that must not be before.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    tf32 = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with (
            warnings.catch_warnings(),
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ),
        ):
            # an operator that only has another way is told of by the comparison, if it matters
            warnings.filterwarnings("ignore", message=".*deterministic")
            yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.backends.cuda.matmul.allow_tf32 = tf32
