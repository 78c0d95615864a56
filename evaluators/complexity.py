"""What a network costs: counted from the architecture, and by fvcore from the network as a second opinion."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from evaluators.evaluator import Metrics
from search_spaces import IMAGENET, OPERATORS, Arch, Task, complexity


@dataclass(frozen=True)
class Complexity:
    """Exact FLOPs, MACs, parameters and activations of one image's forward pass."""

    task: Task = IMAGENET

    metrics: ClassVar[tuple[str, ...]] = ("flops", "macs", "params", "activations")

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        cost = complexity(arch, self.task)
        yield {name: getattr(cost, name) for name in self.metrics}


def count_flops(model: nn.Module, task: Task) -> int:
    """fvcore's total for one image in eval mode: a multiply-add, and a batch norm's scale or shift, is one.

    Raises:
        ImportError: if fvcore is not installed.
    """
    return sum(count_operators(model, task).values())


def count_operators(model: nn.Module, task: Task) -> dict[str, int]:
    """fvcore's counts by operator, those of ``search_spaces.OPERATORS`` first (0 if the model has none).

    The model is traced on a copy in eval mode, on the device it lives on.

    Raises:
        ImportError: if fvcore is not installed.
    """
    parameter = next(model.parameters(), torch.zeros(1))
    image = parameter.new_zeros(1, task.channels, task.resolution, task.resolution)
    with warnings.catch_warnings(action="ignore"), torch.inference_mode():
        try:
            from fvcore.nn import FlopCountAnalysis
        except ImportError as error:
            raise ImportError(
                "counting FLOPs needs fvcore, which is missing: pip install fvcore"
            ) from error
        analysis = FlopCountAnalysis(copy.deepcopy(model).eval(), image)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counted = analysis.by_operator()
    names = dict.fromkeys((*OPERATORS, *counted))
    return {name: int(counted[name]) for name in names}
