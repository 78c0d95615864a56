"""What a node must have before it gets work: asked on the node itself, which the driver cannot see."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from evaluators import Evaluator, Latency, ProxyTraining, load
from evaluators.data.content import changed_images
from evaluators.devices.device import resolve_device

COMPARED = ("splitsearch", "torch")
"""Packages whose version decides numbers."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ERROR = re.compile(r"(?:[\w.]+\.)?\w*(?:Error|Exception|Exit|Interrupt)\b(?::|$)")


@dataclass(frozen=True)
class Needs:
    """What the evaluators of a search ask of a node; ``images`` is the content of the driver's data."""

    evaluators: Sequence[Evaluator]
    versions: Mapping[str, str]
    images: Mapping[str, Any]

    @classmethod
    def of(cls, evaluators: Sequence[Evaluator]) -> Needs:
        """As this process has them."""
        # finalists are measured by what has one of a search's evaluators in it
        inner = [each.evaluator for each in evaluators if hasattr(each, "evaluator")]
        found = [*evaluators, *inner]
        trainings = [each for each in found if isinstance(each, ProxyTraining)]
        images = load(trainings[0].data).content if trainings else {}
        return cls(tuple(found), versions_here(), dict(images))


def look(needs: Needs) -> None:
    """Raise what keeps this node from running the evaluators; that they came here at all proves the imports."""
    for name, here in versions_here().items():
        if here != needs.versions[name]:
            raise RuntimeError(
                f"{name} {here} is installed there, the driver has {needs.versions[name]}"
            )
    for evaluator in needs.evaluators:
        if isinstance(evaluator, Latency):
            resolve_device(evaluator.device)
        elif isinstance(evaluator, ProxyTraining):
            evaluator.recipe.dtype(resolve_device(evaluator.device))
            change = changed_images(needs.images, load(evaluator.data).content)
            if change:
                raise ValueError(f"the data there is not the driver's: {change}")


def versions_here() -> dict[str, str]:
    """Without what tells builds of one version apart, such as ``+cu128``."""
    return {name: _version(name).partition("+")[0] for name in COMPARED}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "from a clone"


def own_line(report: str) -> str:
    """The line in one of Ray's long reports that says what happened: the last one that names an error of ours."""
    plain = COLOUR.sub("", report)
    lines = [line.strip() for line in plain.splitlines()]
    lines = [line for line in lines if line]
    named = [line for line in lines if ERROR.match(line)]
    own = [line for line in named if not line.startswith("ray.")]
    reasons = [*own[-1:], *named[-1:], *lines[:1]]
    return reasons[0] if reasons else "no reason is known"
