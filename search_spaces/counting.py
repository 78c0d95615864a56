"""What torch and fvcore themselves count of a built network: the judges of ``complexity``, for tests.

Needs fvcore; only tests import this module.
"""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from search_spaces.cost import OPERATORS
from search_spaces.task import Task


def random_images(task: Task, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(
        count, task.channels, task.resolution, task.resolution, generator=generator
    )


def fvcore_operators(model: nn.Module, task: Task) -> dict[str, int]:
    """fvcore's count of one image in eval mode: the operators of ``Complexity``, and any other it finds."""
    fvcore = pytest.importorskip("fvcore.nn")
    count = fvcore.FlopCountAnalysis(model.eval(), random_images(task, 1))
    count.unsupported_ops_warnings(False).uncalled_modules_warnings(
        False
    ).tracer_warnings("none")
    return dict.fromkeys(OPERATORS, 0) | {
        name: int(flops) for name, flops in count.by_operator().items()
    }


def count_activations(model: nn.Module, task: Task) -> int:
    """Output elements of all convolution, linear and max-pool layers, from forward hooks, for one image."""
    outputs: list[int] = []
    handles = [
        module.register_forward_hook(
            lambda module, args, output: outputs.append(output.numel())
        )
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.Linear | nn.MaxPool2d)
    ]
    with torch.inference_mode():
        model.eval()(random_images(task, 1))
    for handle in handles:
        handle.remove()
    return sum(outputs)


def count_saved_bytes(model: nn.Module, task: Task) -> float:
    """Bytes of the storages that autograd keeps in a training pass for one image more."""
    fixed = {
        tensor.untyped_storage().data_ptr()
        for tensor in (*model.parameters(), *model.buffers())
    }

    def saved_bytes(batch: int) -> int:
        kept: dict[int, Tensor] = {}

        def pack(tensor: Tensor) -> Tensor:
            kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            logits = model.train()(random_images(task, batch))
        assert logits.requires_grad
        return sum(
            tensor.untyped_storage().nbytes()
            for at, tensor in kept.items()
            if at not in fixed
        )

    # a difference: what does not grow with the batch falls out
    return (saved_bytes(4) - saved_bytes(2)) / 2


def unsettled(model: nn.Module, x: Tensor) -> nn.Module:
    """The model with norms and statistics far from their start."""
    for name, parameter in model.named_parameters():
        # norms and biases: at their start a fold would be right by chance
        if parameter.ndim == 1:
            nn.init.uniform_(
                parameter, *((0.5, 2.0) if name.endswith("weight") else (-0.5, 0.5))
            )
    with torch.no_grad():
        model.train()(x)
    return model
