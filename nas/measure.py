"""One network, measured: exact cost, fvcore's independent count, latency on the device at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evaluators import Complexity, Latency, count_flops
from search_spaces import Arch, Task, arch_from_dict, build, reference


def measure_network(
    network: str,
    *,
    classes: int,
    resolution: int,
    channels: int,
    small_images: bool,
    **latency: Any,
) -> dict[str, Any]:
    """Metrics by name, as in the trials table, and ``fvcore_flops``; ``network`` as for ``load_arch``,
    ``latency`` the fields of ``evaluators.Latency``.

    Raises:
        ValueError: for a network, task or device that does not exist.
    """
    arch = load_arch(network)
    task = Task(classes, resolution, channels, small_images)
    measured: dict[str, Any] = {"arch_id": arch.id}
    try:
        for evaluator in (Complexity(task), Latency(task, **latency)):
            for metrics in evaluator.evaluate(arch):
                measured |= metrics
        return measured | {"fvcore_flops": count_flops(build(arch, task), task)}
    except RuntimeError as error:  # torch's word for too little memory, and for shapes that do not fit
        raise ValueError(
            f"{network} at {task}, batch size {latency.get('batch_size', 1)}: {error}"
        ) from error


def load_arch(source: str) -> Arch:
    """A published network by name, or the architecture in a JSON file (alone, or under ``arch``).

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    path = Path(source)
    if path.suffix != ".json":
        return reference(source)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from error
    try:
        return arch_from_dict(values.get("arch", values) if isinstance(values, dict) else values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
