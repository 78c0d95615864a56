"""The same search in one process, without Ray: for debugging, and where only torch and Optuna are installed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import torch

from evaluators import Evaluator
from nas.controller import Controller
from nas.engines.checkpoints import Checkpoints
from nas.engines.worker import steps, threads


def run_serially(
    controller: Controller, evaluators: Sequence[Evaluator], checkpoints: Checkpoints, *, cpus: float
) -> None:
    """Run the controller's trials one after another, each on so many CPU threads as it would get from Ray."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads(cpus))
    try:
        _run(controller, evaluators, checkpoints)
    finally:
        torch.set_num_threads(before)


def _run(controller: Controller, evaluators: Sequence[Evaluator], checkpoints: Checkpoints) -> None:
    while work := controller.next():
        with closing(steps(work, evaluators, checkpoints)) as results:
            for step in results:
                if step.metrics is None:
                    facts = {"traceback": step.traceback} if step.error else {}
                    controller.finish(work.trial, step.error, **facts)
                elif not controller.report(work.trial, step.metrics):
                    break
