"""Deploy mode: networks without batch norms."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import TypeVar

from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import (
    parametrize,
    prune,
    remove_spectral_norm,
    remove_weight_norm,
)
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def fold(model: ModuleT) -> ModuleT:
    """A copy in eval mode with every batch norm folded into the convolution before it; same output.

    The pairs are found by following one symbolic input through ``forward``, so neither names nor the order
    of registration matter. A folded norm leaves ``nn.Identity``, its convolution gains a bias.
    Parametrised weights, and those that hooks of ``torch.nn.utils`` compute (pruning, the
    older weight and spectral norm), become plain ones.

    Raises:
        ValueError: naming the norm that no convolution feeds, or why it cannot be folded.
    """
    folded = _copied(model).eval()
    _bake_parametrisations(folded)
    _bake_hooked(folded)
    modules = dict(folded.named_modules())
    graph = _trace(folded)
    calls = [node for node in graph.nodes if node.op == "call_module"]
    names = Counter(
        module for _, module in folded.named_modules(remove_duplicate=False)
    )
    read = {
        node.target.rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"
    }
    times = Counter(node.target for node in calls)
    for call in calls:
        norm = modules[call.target]
        if not isinstance(norm, _BatchNorm):
            continue
        (source,) = call.all_input_nodes
        conv = modules[source.target] if source.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d):
            raise ValueError(f"{call.target} has no convolution before it to fold into")
        if len(source.users) > 1 or times[source.target] > 1:
            raise ValueError(
                f"{call.target} cannot be folded: {source.target} is used elsewhere too"
            )
        for name, module in ((call.target, norm), (source.target, conv)):
            if names[module] > 1 or name in read:
                raise ValueError(
                    f"{call.target} cannot be folded: {name} is used elsewhere too"
                )
            if module._forward_hooks or module._forward_pre_hooks:
                raise ValueError(f"{call.target} cannot be folded: {name} has hooks")
        if norm.running_mean is None:
            raise ValueError(
                f"{call.target} cannot be folded: it keeps no running statistics"
            )
        folded.set_submodule(source.target, fuse_conv_bn_eval(conv, norm))
        folded.set_submodule(call.target, nn.Identity())
    return folded


def _copied(model: ModuleT) -> ModuleT:
    """As ``deepcopy``, which refuses tensors that a hook computed and left as attributes."""
    computed = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    return deepcopy(model, computed)


def _bake_hooked(model: nn.Module) -> None:
    for module in model.modules():
        for hook in list(module._forward_pre_hooks.values()):
            if isinstance(hook, prune.BasePruningMethod):
                prune.remove(module, hook._tensor_name)
            elif isinstance(hook, WeightNorm):
                remove_weight_norm(module, hook.name)
            elif isinstance(hook, SpectralNorm):
                remove_spectral_norm(module, hook.name)


def _bake_parametrisations(model: nn.Module) -> None:
    """Weights that are computed from others, normalised or masked ones, become plain weights."""
    for module in list(model.modules()):
        if not parametrize.is_parametrized(module):
            continue
        assert isinstance(module.parametrizations, nn.ModuleDict)  # noqa: S101 - for mypy
        weights = {
            name: getattr(module, name).detach() for name in module.parametrizations
        }
        # remove_parametrizations would change the class, which the original has too
        module.__class__ = parametrize.type_before_parametrizations(module)
        del module.parametrizations
        for name, weight in weights.items():
            module.register_parameter(name, nn.Parameter(weight))


class _Tracer(fx.Tracer):
    """Looks into modules that hold others; what the rest do inside is their own."""

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        return not any(module.children()) or super().is_leaf_module(
            module, qualified_name
        )


def _trace(model: nn.Module) -> fx.Graph:
    try:
        return _Tracer().trace(model)
    except fx.proxy.TraceError as error:
        raise ValueError(
            f"the data flow of {type(model).__name__} cannot be followed: {error}"
        ) from error
