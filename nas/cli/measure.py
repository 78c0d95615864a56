"""One network, measured: exact cost, fvcore's independent count, latency on the device at hand."""

from __future__ import annotations

from typing import Any

from evaluators import Complexity, Latency, count_flops
from nas.runs.networks import load_arch
from results.strict_json import JsonObject
from search_spaces import Task, build


def measure_network(
    network: str,
    *,
    classes: int,
    resolution: int,
    channels: int,
    small_images: bool,
    **latency: Any,
) -> JsonObject:
    """Metrics by name, as in the trials table, and ``fvcore_flops``; ``network`` as for ``load_arch``,
    ``latency`` the fields of ``evaluators.Latency``.

    Raises:
        ValueError: for a network, task or device that does not exist.
    """
    arch = load_arch(network)
    task = Task(classes, resolution, channels, small_images)
    evaluators = Complexity(task), Latency(task, **{"threads": None} | latency)
    measured: JsonObject = {"arch_id": arch.id}
    try:
        for evaluator in evaluators:
            for metrics in evaluator.evaluate(arch):
                measured |= metrics
        return measured | {"fvcore_flops": count_flops(build(arch, task), task)}
    # torch's word for too little memory, and for shapes that do not fit
    except RuntimeError as error:
        raise ValueError(
            f"{network} at {task}, batch size {latency.get('batch_size', 1)}: {error}"
        ) from error
