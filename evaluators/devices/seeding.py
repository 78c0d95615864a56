"""Chance that depends only on a seed, and leaves the caller's generators as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from search_spaces import Arch, Network, Task, build


def derive(seed: int, *path: int) -> int:
    """A seed for every path, such as an epoch; 32 bits, because torch's CPU generator uses no more."""
    sequence = np.random.SeedSequence((seed, *path))
    return int(sequence.generate_state(1)[0])


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators of the CPU and the device inside the block; restore them after it."""
    cuda = [device] if device.type == "cuda" else []
    # restores the generators at the end, so nobody's draws depend on ours
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            torch.cuda.default_generators[device.index].manual_seed(seed)
        yield


def build_seeded(
    arch: Arch, task: Task, seed: int, *, zero_gamma: bool = True
) -> Network:
    """``build`` with the weights that this seed draws."""
    with seeded(seed, torch.device("cpu")):
        return build(arch, task, zero_gamma=zero_gamma)
