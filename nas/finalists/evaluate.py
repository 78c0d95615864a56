"""What is measured of a finalist: what the search knows already, the costs it does not, and a full training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluators import Evaluator, Metrics, ProxyTraining, Recipe
from evaluators.devices.device import resolve_device
from evaluators.training.recipe import with_settings
from evaluators.training.shard import ALONE
from nas.finalists.lineup import Entrant
from nas.retraining.plan import Plan, carried_on
from nas.retraining.worker import Job, train
from search_spaces import Arch
from search_spaces.joint import network_of, settings_of


@dataclass(frozen=True)
class Introduction:
    """Who a network is, and what the search has measured of it."""

    facts: Mapping[str, Metrics]
    """By the network's id."""

    metrics = ("role", "network", "search_trial", "proxy_accuracy")

    @classmethod
    def of(cls, entrants: list[Entrant]) -> Introduction:
        return cls({entrant.arch.id: _introduced(entrant) for entrant in entrants})

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        yield dict(self.facts[arch.id])


def _introduced(entrant: Entrant) -> Metrics:
    facts: dict[str, Any] = {"role": str(entrant.role), "network": entrant.name}
    if entrant.trial is not None:
        facts["search_trial"] = entrant.trial
    return facts | dict(entrant.known)


@dataclass(frozen=True)
class UnlessKnown:
    """An evaluator of the search, for networks that it has not measured there."""

    evaluator: Evaluator
    known: frozenset[str]
    """Ids of networks."""

    @property
    def metrics(self) -> tuple[str, ...]:
        return self.evaluator.metrics

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        if arch.id not in self.known:
            yield from self.evaluator.evaluate(arch, seed=seed, checkpoint=checkpoint)


@dataclass(frozen=True)
class FullTraining:
    """A retraining (``nas.retraining``) as an evaluator; its checkpoints and results lie in ``folder``.

    Every worker must see the folder. ``plan`` says how to train; of its network there is none yet. What the search
    chose for the training of a network goes before that, but for what is ``given`` by hand; ``searched`` is the
    recipe of the search.
    """

    plan: Plan
    folder: Path
    memory_fraction: float | None = None
    searched: Recipe | None = None
    given: frozenset[str] = frozenset()

    @property
    def evaluator(self) -> ProxyTraining:
        """The training of a search that tells the same, and asks the same of a worker's machine."""
        return ProxyTraining(self.plan.data, self.plan.recipe, self.plan.device)

    @property
    def metrics(self) -> tuple[str, ...]:
        return (*self.evaluator.metrics, "top1")

    def job(self, arch: Arch, seed: int) -> Job:
        own = carried_on(settings_of(arch), self.searched, self.given)
        how = {
            "arch": network_of(arch).to_dict(),
            "recipe": with_settings(self.plan.recipe, own),
        }
        plan = self.plan.model_copy(update=how)
        return Job(plan, seed, self.folder / arch.id / f"seed-{seed}")

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        """Epochs of an earlier leg are told again, then the rest; in the end ``top1``, on the test images."""
        job = self.job(arch, seed)
        job.folder.mkdir(parents=True, exist_ok=True)
        state = job.state()
        # the controller skips those that its log has
        yield from map(dict, state["history"] if state else ())
        device = resolve_device(self.plan.device)
        yield from train(job, ALONE, device, self.memory_fraction)
        yield {"top1": (job.result or {})["top1"]}
