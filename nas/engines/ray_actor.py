"""A worker as Tune knows it: an actor that runs one trial after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray
import torch
from ray import tune

from evaluators import Evaluator
from nas.controller import Assignment
from nas.engines.checkpoints import Checkpoints
from nas.engines.worker import steps
from search_spaces import arch_from_dict


class TrialActor(tune.Trainable):
    """One trial, or what is left of it, a result per step. The actor is used again for the next trial."""

    def setup(
        self,
        config: dict[str, object],
        evaluators: Sequence[Evaluator] = (),
        checkpoints: Checkpoints | None = None,
        threads: int = 1,
    ) -> None:
        self._evaluators, self._checkpoints = (
            evaluators,
            checkpoints or Checkpoints("checkpoints"),
        )
        torch.set_num_threads(threads)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        assignment = assignment_of(new_config)
        self._steps = steps(assignment, self._evaluators, self._checkpoints)
        return True

    def step(self) -> dict[str, Any]:
        # one epoch, or one measurement
        result = next(self._steps)
        if result.metrics is None:
            return {"done": True, "error": result.error, "traceback": result.traceback}
        return {"metrics": result.metrics}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: evaluators keep a checkpoint of their own after every epoch."""

    def load_checkpoint(self, checkpoint: object) -> None:
        """Nothing, see ``save_checkpoint``."""


def assignment_of(config: dict[str, Any]) -> Assignment:
    """From the settings of a trial of Tune's."""
    return Assignment(**config | {"arch": arch_from_dict(config["arch"])})


def take_ready(manager: Any) -> None:
    """Let Tune's actor ``manager`` handle all starts, ends and results of actors that have come.

    Tune's own loop takes one a round, and looks at all actors for it: of a thousand actors that is a
    millisecond a result, of ten thousand more than a driver has.
    """
    for events in (manager._actor_state_events, manager._actor_task_events):
        futures = list(events._tracked_futures)
        if not futures:
            continue
        ready, _ = ray.wait(futures, num_returns=len(futures), timeout=0)
        for future in ready:
            # what came of one may have ended another
            if future in events._tracked_futures:
                events.resolve_future(future)
    # the rest is rare: placement groups, and actors that can start now or are to be killed
    manager.next(timeout=0)
