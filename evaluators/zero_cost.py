"""Scores of untrained networks on noise, in place of accuracy: milliseconds, no data, higher is better.

What split attention asks of them is decided here once. ``synflow`` and ``zen`` are about networks of
convolutions and ReLUs, and a gate is neither: both hold every gate (the softmax over the splits, the sigmoid)
at what zero logits give, so that splits are averaged, maps pass halved, and the gate's own weights do not
count. ``naswot`` reads the network as it is, gates included. Residual branches that start at zero would hide
their weights, so they start as other norms do.

They are baselines to test against parameters and FLOPs, which correlate with accuracy themselves
(``benchmarks/zero_cost.py``; Abdelfattah et al. 2021, "Zero-Cost Proxies for Lightweight NAS").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from evaluators.devices.lock import Shared
from evaluators.devices.seeding import seeded
from evaluators.evaluator import Metrics
from search_spaces import IMAGENET, Arch, SplitAttention, Task, build
from search_spaces.blocks.inverted_residual import InvertedResidualModule
from search_spaces.blocks.squeeze_excite import SqueezeExcite
from search_spaces.extension import nearest

MAX_RESOLUTION = 64
"""Larger images are not needed to tell networks apart, and cost what should be free."""
IMAGES = 16
ZEN_STEP = 0.01
ZEN_REPEATS = 2

_CPU = torch.device("cpu")
RELUS = (
    torch.ops.aten.relu,
    torch.ops.aten.relu_,
    torch.ops.aten.hardswish,
    torch.ops.aten.hardswish_,
)
SMOOTH = (nn.Hardswish, nn.SiLU, nn.GELU)
"""Activations that are the identity only on large numbers."""


@dataclass(frozen=True)
class ZeroCost:
    """One of ``PROXIES`` as an evaluator; the metric has its name."""

    proxy: str
    task: Task = IMAGENET

    def __post_init__(self) -> None:
        if self.proxy not in PROXIES:
            raise ValueError(
                f"unknown proxy {self.proxy!r}{nearest(self.proxy, PROXIES)}"
            )

    @property
    def metrics(self) -> tuple[str, ...]:
        return (self.proxy,)

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        side = min(self.task.resolution, MAX_RESOLUTION)
        task = replace(self.task, resolution=side)
        with Shared(_CPU), seeded(seed, _CPU):
            network = build(arch, task, zero_gamma=False)
            score = PROXIES[self.proxy](network, task)
        yield {self.proxy: score}


def synflow(model: nn.Module, task: Task) -> float:
    """Logarithm of the synaptic flow: the sum of w dR/dw over the weights w of convolutions and linear layers.

    R is the sum of what the network makes of ones after all weights became their magnitudes, biases zero,
    norms what they are in eval mode at the start, activations the identity (Tanaka et al. 2020, "Pruning
    neural networks without any data by iteratively conserving synaptic flow"). R grows beyond any float with
    depth. So linear a network may be scaled down anywhere: every block's output is, and the logarithms of
    the scales are added up.
    """
    _open_gates(model)
    _make_positive_and_linear(model)
    logarithms: list[float] = []

    def scaled(module: nn.Module, args: object, output: Tensor) -> Tensor:
        # positive: weights are magnitudes and the input is ones
        scale = output.detach().mean()
        logarithms.append(scale.log().item())
        return output / scale

    for block in _blocks(model):
        block.register_forward_hook(scaled)
    model.eval()(
        torch.ones(1, task.channels, task.resolution, task.resolution)
    ).sum().backward()
    layers = (m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    weights = (layer.weight for layer in layers if layer.weight.grad is not None)
    products = (w * w.grad for w in weights if w.grad is not None)
    flow: float = sum(product.sum().item() for product in products)
    return math.log(flow) + sum(logarithms)


def naswot(model: nn.Module, task: Task) -> float:
    """How differently the activations split a batch of noise: log-determinant of the kernel of their codes.

    An image's code says which ReLUs (or hard swishes) it drives above zero; the kernel counts those on which
    two images agree (Mellor et al. 2021, "Neural Architecture Search without Training"). Norms use the
    batch's statistics.
    """
    kernel = torch.zeros(IMAGES, IMAGES, dtype=torch.float64)
    with torch.no_grad(), _Codes(kernel):
        model.train()(_noise(task))
    return float(torch.linalg.slogdet(kernel).logabsdet)


def zen(model: nn.Module, task: Task) -> float:
    """Logarithm of how far a small step in the input moves the last maps, with what norms took away given back.

    Weights are standard normal, shortcuts cut, input and step Gaussian; of every norm on the way the logarithm
    of the deviation it divides by is added (Lin et al. 2021, "Zen-NAS: A Zero-Shot NAS for
    High-Performance Image Recognition", algorithm 1). Mean of several draws.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight)
    _open_gates(model)
    _cut_shortcuts(model)
    features = _features(model.train())
    scores = [_zen_score(features, task) for _ in range(ZEN_REPEATS)]
    return sum(scores) / len(scores)


def _zen_score(features: nn.Module, task: Task) -> float:
    """Of one draw of images and step."""
    deviations: list[float] = []

    def note(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        deviations.append(
            args[0].var((0, 2, 3), unbiased=False).mean().sqrt().log().item()
        )

    images = _noise(task)
    step = ZEN_STEP * _noise(task)
    with torch.no_grad():
        norms = _norms_on_the_way(features)
        hooks = [norm.register_forward_pre_hook(note) for norm in norms]
        here = features(images)
        # the second pass must not count its norms once more
        for hook in hooks:
            hook.remove()
        moved = (features(images + step) - here).abs().mean()
    # what norms divided by is multiplied back, in logarithms
    score: float = moved.log().item() + sum(deviations)
    return score


def _norms_on_the_way(features: nn.Module) -> list[nn.BatchNorm2d]:
    """The norms that maps pass; those inside a gate only see what decides about the splits."""
    modules = list(features.modules())
    aside = {id(gate.bn1) for gate in modules if isinstance(gate, SplitAttention)}
    norms = (module for module in modules if isinstance(module, nn.BatchNorm2d))
    return [norm for norm in norms if id(norm) not in aside]


PROXIES: Mapping[str, Callable[[nn.Module, Task], float]] = {
    "synflow": synflow,
    "naswot": naswot,
    "zen": zen,
}
"""Scores by name; each takes the model for its own and changes it."""


class _Codes(TorchDispatchMode):
    """Adds to ``kernel``, for every activation that runs, the number of units on which two images agree."""

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives it no types
        self.kernel = kernel

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket in RELUS:
            active = (args[0] > 0).flatten(1).float()
            signs = active.mul_(2).sub_(1)
            units = signs.shape[1]
            alike = (signs @ signs.T).double()
            self.kernel += (alike + units) / 2
        return func(*args, **(kwargs or {}))


def _noise(task: Task) -> Tensor:
    return torch.randn(IMAGES, task.channels, task.resolution, task.resolution)


def _open_gates(model: nn.Module) -> None:
    """Zero logits, whatever the input."""
    for module in model.modules():
        if isinstance(module, SplitAttention | SqueezeExcite):
            for parameter in module.fc2.parameters():
                nn.init.zeros_(parameter)


def _make_positive_and_linear(model: nn.Module) -> None:
    for name, module in list(model.named_modules()):
        if isinstance(module, SMOOTH):
            model.set_submodule(name, nn.Identity())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.zero_() if name.endswith("bias") else parameter.abs_()


def _cut_shortcuts(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(getattr(module, "downsample", None), nn.Module):
            module.downsample = _Nothing()
        if isinstance(module, InvertedResidualModule):
            module.residual = False


class _Nothing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(())


def _blocks(model: nn.Module) -> list[nn.Module]:
    """The network's pieces in order: those of the stages one by one."""
    return [
        block
        for name, module in model.named_children()
        for block in (module.children() if name.startswith("layer") else (module,))
    ]


def _features(model: nn.Module) -> nn.Module:
    """The network up to the global pooling."""
    modules = list(model.children())
    end = next(
        i
        for i, module in enumerate(modules)
        if isinstance(module, nn.AdaptiveAvgPool2d)
    )
    return nn.Sequential(*modules[:end])
