"""``evolution`` with one of its parts off, by name: ``searchers.py --samplers evolution evolution/warp ...``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from nas.samplers import encoding, evolution, first_design
from nas.samplers.encoding import Encoder
from nas.samplers.evolution import Evolution
from nas.samplers.gaussian_process import Kernel
from nas.samplers.surrogate import Observation, Posterior
from nas.samplers.warp import STRAIGHT, Warp
from results.columns import Array

_ENCODED = Encoder.kernel.fget
assert _ENCODED


def _one_length(encoder: Encoder) -> Kernel:
    return Kernel(np.zeros_like(_ENCODED(encoder).groups))


def _only_standardised(values: Array) -> Warp:
    return Warp(False, float(values.mean()), float(values.std()) or 1.0, STRAIGHT)


def _as_observed(
    self: Evolution, posterior: Posterior, observed: Sequence[Observation]
) -> tuple[list[Observation], Array]:
    return self._front, self._losses


def _none(space: Any) -> list[str]:
    return []


def _at_random(
    drawn: Sequence[Any], believed: Sequence[Any], count: int, rng: np.random.Generator
) -> list[Any]:
    return list(drawn[:count])


ABLATIONS: Mapping[str, Sequence[tuple[object, str, Any]]] = {
    "lengths": [
        (Encoder, "kernel", property(_one_length)),
        (Encoder, "names", property(lambda encoder: ["all"])),
    ],
    "logs": [(encoding, "math", SimpleNamespace(log1p=float, sqrt=math.sqrt))],
    "averaging": [(evolution, "DRAWS", 1)],
    "belief": [(Evolution, "_believed", _as_observed)],
    "warp": [(Warp, "of", staticmethod(_only_standardised))],
    "neighbours": [(Evolution, "_near", lambda self, parents: [])],
    "random": [(evolution, "RANDOM_CANDIDATES", 1)],
    "spread": [(evolution, "first_design", _at_random)],
    "flight": [(evolution, "IN_FLIGHT", 0)],
    "families": [
        (evolution, "families_of", _none),
        (first_design, "families_of", _none),
    ],
}
"""What is put in whose place.

In order: a length scale per knob, log costs as inputs, the mean over posterior samples, the front that is believed
in, the warp, all neighbours as candidates, random networks as candidates, the evenly spread first design, what is
in flight, a first design of all families.
"""


@contextmanager
def without(part: str) -> Iterator[None]:
    """All of it if ``part`` is empty.

    Raises:
        ValueError: for a part that there is not.
    """
    if part and part not in ABLATIONS:
        raise ValueError(f"evolution/{part}: parts are {', '.join(ABLATIONS)}")
    with ExitStack() as stack:
        for owner, name, other in ABLATIONS.get(part, ()):
            stack.enter_context(patch.object(owner, name, other))
        yield
