"""One search, step by step: propose, listen, log. Whoever runs the trials calls it; it knows nothing of Ray."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from results import EventLog

from .proposer import Proposal, Proposer

Listener = Callable[[str, int | None, Mapping[str, Any]], None]
"""Called with kind, trial and data of every event, once it is in the log."""


class Controller:
    """Keeps the proposer and the event log in step.

    Every trial goes ``propose`` -> ``report``* -> ``finish``. ``exhausted`` tells whether the space ran out
    before ``trials`` were proposed.
    """

    def __init__(
        self, proposer: Proposer, log: EventLog, *, trials: int, seed: int, listeners: Sequence[Listener] = ()
    ) -> None:
        self.proposer, self.log, self.listeners = proposer, log, listeners
        self.trials, self.seed = trials, seed
        self.exhausted = False
        self.finished: dict[int, str] = {}
        self._metrics: dict[int, dict[str, Any]] = {}

    @property
    def started(self) -> bool:
        """Whether there is anything to keep: a trial has been proposed."""
        return bool(self._metrics)

    def propose(self) -> Proposal | None:
        """The next trial, or None when there are enough or the space is exhausted."""
        if len(self._metrics) >= self.trials or self.exhausted:
            return None
        proposal = self.proposer.ask()
        while proposal and proposal.duplicate_of is not None:
            proposal = self.proposer.ask()
        if proposal is None:
            self.exhausted = True
            return None
        arch = proposal.arch
        self._metrics[proposal.trial] = {}
        self.emit(
            "proposed",
            proposal.trial,
            arch_id=arch.id,
            space=arch.space,
            arch=arch.to_dict(),
            knobs=self.proposer.space.params(arch),
            seed=self.seed,
        )
        return proposal

    def report(self, trial: int, metrics: Mapping[str, Any]) -> None:
        """Metrics of a running trial: those of an epoch if they say which, else a measurement."""
        self._metrics[trial] |= metrics
        self.emit("epoch" if "epoch" in metrics else "measured", trial, **metrics)

    def finish(self, trial: int, error: str | None = None, **facts: Any) -> None:
        """The trial is over: complete, or failed with ``error``."""
        error = error or self._unmeasured(trial)
        self.proposer.tell(trial, "failed" if error else "complete", self._metrics[trial])
        self.finished[trial] = "failed" if error else "complete"
        self.emit("finished", trial, status=self.finished[trial], error=error, **facts)

    def emit(self, kind: str, trial: int | None = None, **data: Any) -> None:
        self.log.append(kind, trial, **data)
        for listener in self.listeners:
            listener(kind, trial, data)

    def _unmeasured(self, trial: int) -> str | None:
        for name in self.proposer.objectives:
            value = self._metrics[trial].get(name)
            if value is None or not math.isfinite(value):
                return f"objective {name} was not measured (got {value})"
        return None
