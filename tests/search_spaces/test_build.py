"""What a network is before it has learnt anything, and what may be done with it as a module."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from search_spaces import Task, build, get_space, reference

NARROW: dict[str, dict[str, Any]] = {
    "resnest": {f"depth{stage}": [1, 2] for stage in range(1, 5)}
    | {f"width{stage}": [8, 16, 32] for stage in range(1, 5)},
    "regnety": {"depth": range(8, 13), "w0": [8, 16, 48], "wm": [2.0, 2.2]},
    "fbnetv2": {f"rows{stage}": [1, 2] for stage in range(1, 6)} | {"repeat": 1},
}


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
@pytest.mark.parametrize("space", NARROW)
def test_a_new_network_guesses(space: str, classes: int) -> None:
    """Its first loss is that of all classes being equally likely, whatever layer classifies."""
    task = Task(classes, 16, small_images=True)
    rng = np.random.default_rng(classes)
    for seed in range(4):
        torch.manual_seed(seed)
        network = build(get_space(space, **NARROW[space]).sample(rng), task)
        labels = torch.randint(classes, (64,))
        with torch.no_grad():
            loss = nn.functional.cross_entropy(
                network(torch.randn(64, 3, 16, 16)), labels
            )
        assert loss.item() == pytest.approx(math.log(classes), abs=0.3)


def test_a_traced_fbnetv2_resizes_images_of_any_size() -> None:
    network = build(reference("fbnetv2_f1"), Task(7, 64)).eval()
    traced = torch.fx.symbolic_trace(network)
    for side in (64, 96, network.resize.side):  # type: ignore[operator]
        x: Tensor = torch.randn(1, 3, side, side)
        with torch.no_grad():
            torch.testing.assert_close(traced(x), network(x))
