"""The checks of ``make gpu-check``: some on the CPU, to try their code; all on a GPU, if there is one."""

from __future__ import annotations

import pytest
import torch

from benchmarks.gpu.parts import CHECKS
from benchmarks.gpu.setting import MissingError, Part, Setting

BRIEF = {
    "check equals-cpu resnest",
    "check graph clip",
    "check evaluation",
    "check resume",
    "check accumulation",
    "check streaming",
    "check out-of-memory",
    "check waits",
    "check latency",
    "check evaluator",
}
"""Enough to know that the bodies run; ``python -m benchmarks.gpu --dry-run`` tries all."""


@pytest.mark.parametrize(
    "check",
    [pytest.param(check, id=check.name) for check in CHECKS if check.name in BRIEF],
)
def test_on_the_cpu(check: Part) -> None:
    check.run(Setting(torch.device("cpu"), tiny=True))


@pytest.mark.cuda
@pytest.mark.parametrize(
    "check", [pytest.param(check, id=check.name) for check in CHECKS]
)
def test_on_a_gpu(check: Part) -> None:
    try:
        check.run(Setting(torch.device("cuda", 0)))
    except MissingError as missing:
        pytest.skip(str(missing))
