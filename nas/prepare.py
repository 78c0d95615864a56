"""What a configuration names, built: evaluators and proposer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import Any

import torch

from evaluators import (
    Complexity,
    Dataset,
    DataSettings,
    Evaluator,
    Latency,
    PredictedLatency,
    Preprocess,
    ProxyTraining,
    ZeroCost,
    load,
)
from evaluators.data.dataset import check_test
from evaluators.data.progress import Progress
from evaluators.devices.device import known_device, resolve_device
from evaluators.devices.lock import lock_folder
from evaluators.training.fidelity import Fidelity
from evaluators.zero_cost import PROXIES
from nas.config.schema import SearchConfig
from nas.config.searched_recipe import SearchedRecipe
from nas.problem import Problem
from nas.runs.networks import load_baselines, load_starts
from nas.samplers.proposer import Proposer, Proposing
from nas.samplers.registry import make_sampler
from nas.size_gain import SizeGain
from nas.stopper.asha import Stopper
from search_spaces import SearchSpace, Task
from search_spaces.extension import import_named, nearest
from search_spaces.sampling.limits import LIMITED


@dataclass(frozen=True)
class Prepared:
    """The evaluators in their order, and who decides what they are given and when they stop.

    ``fidelity`` is what a proxy training costs and sees, in words; None where nothing is trained here.
    """

    evaluators: list[Evaluator]
    proposer: Proposing
    stopper: Stopper
    task: Task
    images: Mapping[str, Any]
    fidelity: str | None = None


def prepare(
    config: SearchConfig, progress: Progress = lambda what, done, total: None
) -> Prepared:
    """Build all that a configuration names, so that what cannot work is found before anything starts.

    Images that are not decoded yet are decoded; ``progress`` is told of it as ``evaluators.load`` does.
    """
    data = config.data.absolute()
    dataset = load(data, progress=progress)
    # the search never sees test images, but a folder without them should fail today, not in a week
    check_test(data, dataset)
    task, space = dataset.task, config.space.build()
    if config.finalists is not None:
        Preprocess.of_dataset(dataset)  # their model folders will need it
        problem = Problem(space, config.objectives, config.limits, task)
        load_baselines(config.finalists.baselines, problem)
    built_in = _built_in(config, data, task, space)
    evaluators = [
        # built-in names first, so that nobody's module can take their place
        built_in.get(name) or _own_evaluator(name, task, built_in)
        for name in config.evaluators
    ]
    _check_objectives(config, evaluators)
    _check_recipe_is_used(config)
    trains = any(isinstance(evaluator, ProxyTraining) for evaluator in evaluators)
    fidelity = str(Fidelity.of(dataset, config.training)) if trains else None
    return replace(_decided(config, evaluators, dataset), fidelity=fidelity)


def prepare_for_others(
    config: SearchConfig, progress: Progress = lambda what, done, total: None
) -> Prepared:
    """As ``prepare``, for a search whose networks are measured elsewhere: only costs are measured here."""
    dataset = load(config.data.absolute(), progress=progress)
    return _decided(config, [Complexity(dataset.task)], dataset)


def _decided(
    config: SearchConfig, evaluators: list[Evaluator], dataset: Dataset
) -> Prepared:
    space = config.search_space
    task = dataset.task
    sampler = make_sampler(config.sampler.name, config.seed, config.sampler.model_extra)
    if config.size_gain:
        sampler = SizeGain(sampler, config.size_gain)
    proposer = Proposer(
        space,
        config.objectives,
        sampler,
        config.seed,
        task=task,
        limits=config.limits,
        start_from=load_starts(config.start_from, space, config.limits, task),
    )
    stopper = config.stopper.build(config.objectives, config.training.epochs)
    return Prepared(evaluators, proposer, stopper, task, dataset.content)


def _built_in(
    config: SearchConfig, data: DataSettings, task: Task, space: SearchSpace
) -> dict[str, Evaluator]:
    device = device_of(config)
    share = gpus_per_trial(config)
    latency = _latency(config, task, device)
    if not elsewhere(config):  # nodes of a cluster say so themselves
        lock_folder()
        # a precision that the device cannot train in
        config.training.dtype(torch.device(device))
    training = ProxyTraining(
        # several trials on one GPU: each may take its share of the memory
        data,
        config.training,
        device,
        share if 0 < share < 1 else None,
    )
    return {
        "complexity": Complexity(task),
        "latency": latency,
        "predicted_latency": _predicted(config, latency, space),
        "training": training,
        **{name: ZeroCost(name, task) for name in PROXIES},
    }


def _latency(config: SearchConfig, task: Task, device: str) -> Latency:
    settings = asdict(config.latency)
    settings["device"] = config.latency.device or device
    # where a resource is named, or a cluster trains, the device is another machine's
    if settings.pop("resource") is None and not elsewhere(config):
        resolve_device(settings["device"])
    return Latency(task, **settings)


def _predicted(
    config: SearchConfig, latency: Latency, space: SearchSpace
) -> PredictedLatency:
    # it is calibrated with networks that the search could propose
    cheap = {
        name: (limit.min, limit.max)
        for name, limit in config.limits.items()
        if name in LIMITED
    }
    settings = config.predicted_latency.model_dump()
    return PredictedLatency(latency, space, **settings, limits=cheap)


def elsewhere(config: SearchConfig) -> bool:
    """Whether trials run on nodes of a cluster, whose devices this machine need not have."""
    return config.engine == "ray" and config.ray.address != "local"


def device_of(config: SearchConfig) -> str:
    """Where networks train; ``ValueError`` if it is on this machine, and that has no such device."""
    if elsewhere(config):
        if config.device == "auto":
            return "cuda" if config.resources.gpus else "cpu"
        return known_device(config.device).type
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
        raise ValueError(
            f"evaluator {name!r} cannot be made: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(evaluator, Evaluator):
        raise ValueError(
            f"{name!r} is no evaluator: it needs metrics and evaluate (evaluators.Evaluator)"
        )
    return evaluator


def _check_recipe_is_used(config: SearchConfig) -> None:
    """``ValueError`` where settings of training are searched and no evaluator trains, as far as is known."""
    own = any(":" in name for name in config.evaluators)
    if isinstance(config.training, SearchedRecipe) and not (
        own or "training" in config.evaluators
    ):
        name = config.training.choices[0][0]
        raise ValueError(
            f"training.{name}: is a list of choices, and nothing is trained; add training to evaluators"
        )


def _check_objectives(config: SearchConfig, evaluators: Sequence[Evaluator]) -> None:
    produced = [metric for evaluator in evaluators for metric in evaluator.metrics]
    for objective in config.objectives:
        if objective not in produced:
            raise ValueError(
                f"objectives.{objective}: no evaluator measures it{nearest(objective, produced)}"
            )
    for name in chain.from_iterable(config.stopper.instead.values()):
        if name not in produced:
            raise ValueError(
                f"stopper.instead: no evaluator measures {name}{nearest(name, produced)}"
            )
    for name in config.limits:
        if name not in (*produced, *LIMITED):
            raise ValueError(
                f"limits.{name}: no evaluator measures it{nearest(name, [*produced, *LIMITED])}"
            )
