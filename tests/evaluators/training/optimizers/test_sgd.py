"""SGD held to torch's own, and to what it is there for."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from evaluators.training.optimizers.sgd import SGD

OPTIONS = {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-2}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("fused", [False, True])
def test_every_number_is_that_of_torchs_sgd(fused: bool) -> None:
    results = []
    for make in (SGD, torch.optim.SGD):
        model = network()
        optimizer = make(model.parameters(), fused=fused, **OPTIONS)
        train(model, optimizer, 3)
        # a stop and a continuation in between
        again = make(model.parameters(), fused=fused, **OPTIONS)
        again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        train(model, again, 2)
        results.append(list(model.state_dict().values()))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_an_optimizer_of_torch_made_before_changes_nothing() -> None:
    # it patches the class it is of
    theirs, model = network(), network()
    train(theirs, torch.optim.SGD(theirs.parameters(), **OPTIONS), 1)
    train(model, SGD(model.parameters(), **OPTIONS), 1)
    for ours, other in zip(model.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(ours, other)


def test_a_training_does_not_load_the_compiler() -> None:
    code = """
import sys, torch
from evaluators.training.recipe import Recipe
model = torch.nn.Linear(3, 2)
optimizer = Recipe().optimizer_of(model, 0.1)
model(torch.ones(1, 3)).sum().backward()
optimizer.step(), optimizer.zero_grad()
optimizer.load_state_dict(optimizer.state_dict())
assert "torch._dynamo" not in sys.modules
torch.optim.SGD(model.parameters(), lr=0.1)
assert "torch._dynamo" in sys.modules, "torch has changed: sgd.py may go"
"""
    subprocess.run([sys.executable, "-c", code], check=True)
