"""A worker as Tune knows it: an actor that runs one trial after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
        assignment = Assignment(
            **new_config | {"arch": arch_from_dict(new_config["arch"])}
        )
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
