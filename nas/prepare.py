"""What a configuration names, built: evaluators and proposer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from evaluators import Complexity, Evaluator, Latency, ProxyTraining, load
from evaluators.device import resolve_device
from search_spaces import Task
from search_spaces.extension import import_named

from .config import SearchConfig
from .proposer import Proposer, make_sampler


def prepare(config: SearchConfig) -> tuple[list[Evaluator], Proposer]:
    """Build all that a configuration names, so that what cannot work is found before anything starts."""
    device = device_of(config)
    latency = config.latency.model_dump() | {"device": config.latency.device or device}
    resolve_device(latency["device"])
    task = load(config.data).task
    built_in: dict[str, Evaluator] = {
        "complexity": Complexity(task),
        "latency": Latency(task, **latency),
        "training": ProxyTraining(config.data, config.training, device),
    }
    evaluators = [built_in.get(name) or _own_evaluator(name, task, built_in) for name in config.evaluators]
    _check_objectives(config, evaluators)
    sampler = make_sampler(config.sampler.name, config.seed, config.sampler.model_extra)
    return evaluators, Proposer(config.space.build(), config.objectives, sampler, config.seed)


def device_of(config: SearchConfig) -> str:
    """Where networks train; ``ValueError`` if this machine has no such device."""
    if config.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return resolve_device(config.device).type


def gpus_per_trial(config: SearchConfig) -> float:
    if config.resources.gpus is not None:
        return config.resources.gpus
    return 1.0 if device_of(config) == "cuda" else 0.0


def _own_evaluator(name: str, task: Task, built_in: Iterable[str]) -> Evaluator:
    make = import_named(name, "evaluator", built_in)
    try:
        evaluator = make(task)
    except Exception as error:
        raise ValueError(f"evaluator {name!r} cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(evaluator, Evaluator):
        raise ValueError(f"{name!r} is no evaluator: it needs metrics and evaluate (evaluators.Evaluator)")
    return evaluator


def _check_objectives(config: SearchConfig, evaluators: Sequence[Evaluator]) -> None:
    produced = [metric for evaluator in evaluators for metric in evaluator.metrics]
    for objective in config.objectives:
        if objective not in produced:
            raise ValueError(
                f"objectives.{objective}: no evaluator measures it; there are {', '.join(produced)}"
            )
