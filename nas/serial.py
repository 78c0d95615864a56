"""The same search in one process, without Ray: for debugging, and where only torch and Optuna are installed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from evaluators import Evaluator

from .checkpoints import Checkpoints
from .controller import Controller
from .evaluation import steps


def run_serially(controller: Controller, evaluators: Sequence[Evaluator], checkpoints: Checkpoints) -> None:
    """Run the controller's trials one after another."""
    while work := controller.next():
        with closing(steps(work, evaluators, checkpoints)) as results:
            for step in results:
                if step.metrics is None:
                    facts = {"traceback": step.traceback} if step.error else {}
                    controller.finish(work.trial, step.error, **facts)
                elif not controller.report(work.trial, step.metrics):
                    break
