"""What must hold of memory on a GPU: training that runs out of it, a cap, and what was counted beforehand."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmarks.gpu.checks import ARCH, RECIPE, TASK, grey, learnt, trained
from benchmarks.gpu.setting import Figures, MissingError, Setting, exact
from evaluators.devices.seeding import build_seeded
from evaluators.training.engine import Training
from evaluators.training.memory import free_memory, limit_memory
from search_spaces import Task, build, complexity, reference


class Large(nn.Module):
    """Has no memory for batches above ``most`` in training, once ``most`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.body = build_seeded(ARCH, TASK, 0)
        self.most = 16

    def forward(self, x: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled() and len(x) > self.most:
            torch.empty(2**62, dtype=torch.uint8, device=x.device)
        logits: Tensor = self.body(x)
        return logits


def out_of_memory(setting: Setting) -> Figures:
    """A batch that does not fit is trained in two parts, as if that had been asked for."""
    model = Large()
    training = Training(model, grey(setting.device), RECIPE, setting.device)
    with exact():
        row = training.next_epoch()
        training.next_epoch()
        asked = trained(setting.device, replace(RECIPE, accumulate=2))
    assert row["batch_splits"] == 2, f"{row['batch_splits']} parts"
    assert learnt(training) == learnt(asked), "the numbers differ"
    return {}


def memory_cap(setting: Setting) -> Figures:
    """Under a cap between the needs of half a batch and of a whole one, the epoch is trained in two parts."""
    if not setting.cuda:
        raise MissingError("needs a GPU: the CPU's memory is not capped")
    recipe = replace(RECIPE, epochs=1, batch_size=2048, cuda_graph=False)
    dataset = grey(setting.device, 4096)
    peak = trained(setting.device, recipe, dataset=dataset).history[0]
    most = float(peak["train_memory_mb"])
    free_memory(setting.device)
    total = torch.cuda.get_device_properties(setting.device).total_memory / 1e6
    try:
        training = trained(
            setting.device, recipe, dataset=dataset, memory_fraction=0.8 * most / total
        )
    finally:
        limit_memory(setting.device, 1.0)
    row = training.history[0]
    assert row["batch_splits"] == 2, f"{row['batch_splits']} parts"
    return {"whole_mb": most, "parts_mb": row["train_memory_mb"]}


def memory_estimate(setting: Setting) -> Figures:
    """``training_bytes``, counted without building the network, against what torch allocates per image."""
    if not setting.cuda:
        raise MissingError("needs a GPU: torch counts no allocations on the CPU")
    task, shares = Task(1000, 224), []
    for name in ("resnest50", "regnety_4.0gf"):
        model = build(reference(name), task).to(setting.device)
        held = []
        for batch in (4, 8):
            images = torch.zeros(batch, 3, 224, 224, device=setting.device)
            torch.cuda.synchronize(setting.device)
            before = torch.cuda.memory_allocated(setting.device)
            logits = model(images)
            held.append(torch.cuda.memory_allocated(setting.device) - before)
            del logits
        shares.append(
            (held[1] - held[0]) / 4 / complexity(reference(name), task).training_bytes
        )
    assert all(0.9 < share < 1.2 for share in shares), f"allocated / counted: {shares}"
    return {"allocated_by_counted": max(shares, key=lambda share: abs(share - 1))}
