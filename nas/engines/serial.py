"""The same search in one process, without Ray: for debugging, and where only torch and Optuna are installed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import torch

from evaluators import Evaluator
from nas.config.schema import SearchConfig
from nas.controller import Assignment, Controller
from nas.engines.checkpoints import Checkpoints
from nas.engines.trackers import TRACKERS
from nas.engines.worker import steps, threads


class SerialEngine:
    """One trial after another, each on so many CPU threads as it would get from Ray."""

    def __init__(self, config: SearchConfig, folder: Path) -> None:
        rays_own = [name for name in config.loggers if name not in TRACKERS]
        if rays_own:
            names = ", ".join(rays_own)
            raise ValueError(
                f"loggers: {names} need Ray: leave out --serial, or the loggers"
            )
        self._threads = threads(config.resources.cpus)

    def run(
        self,
        controller: Controller,
        evaluators: Sequence[Evaluator],
        checkpoints: Checkpoints,
    ) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            while work := controller.next():
                _run_trial(work, controller, evaluators, checkpoints)
        finally:
            torch.set_num_threads(before)


def _run_trial(
    work: Assignment,
    controller: Controller,
    evaluators: Sequence[Evaluator],
    checkpoints: Checkpoints,
) -> None:
    # closing: an evaluator that is stopped early lets go of what it holds
    with closing(steps(work, evaluators, checkpoints)) as results:
        for step in results:
            if step.metrics is None:
                facts = {"traceback": step.traceback} if step.error else {}
                controller.finish(work.trial, step.error, **facts)
            elif not controller.report(work.trial, step.metrics):
                break
