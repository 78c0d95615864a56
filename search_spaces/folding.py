"""Deploy mode: networks without batch norms."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from typing import Self, TypeVar

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
    calls = _Calls.of(folded)
    # a convolution that feeds more than one norm is refused, so none is met twice
    for call in calls.modules:
        norm = modules[call.target]
        if not isinstance(norm, _BatchNorm):
            continue
        # who computes what the norm takes in
        (source,) = call.all_input_nodes
        conv = modules[source.target] if source.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d):
            raise ValueError(f"{call.target} has no convolution before it to fold into")
        if reason := calls.obstacle(call, norm, source, conv):
            raise ValueError(f"{call.target} cannot be folded: {reason}")
        # w' = w * gamma / sqrt(var + eps), and the shift as a bias
        folded.set_submodule(str(source.target), fuse_conv_bn_eval(conv, norm))
        folded.set_submodule(str(call.target), nn.Identity())
    return folded


@dataclass(frozen=True)
class _Calls:
    """Which modules a forward pass calls, and who else has a hold on them."""

    modules: list[fx.Node]
    names: Counter[nn.Module]
    """How many names each module goes by: a shared one has several."""
    read: set[str]
    """Modules whose parameters ``forward`` reads itself."""

    @classmethod
    def of(cls, model: nn.Module) -> Self:
        nodes = list(_trace(model).nodes)
        named = model.named_modules(remove_duplicate=False)
        return cls(
            [node for node in nodes if node.op == "call_module"],
            Counter(module for _, module in named),
            {node.target.rpartition(".")[0] for node in nodes if node.op == "get_attr"},
        )

    def obstacle(
        self, call: fx.Node, norm: _BatchNorm, source: fx.Node, conv: nn.Conv2d
    ) -> str | None:
        """Why the norm must stay, if it must: whoever else sees the pair would see a difference."""
        called = sum(node.target == source.target for node in self.modules)
        if len(source.users) > 1 or called > 1:
            return f"{source.target} is used elsewhere too"
        for name, module in ((str(call.target), norm), (str(source.target), conv)):
            if self.names[module] > 1 or name in self.read:
                return f"{name} is used elsewhere too"
            if module._forward_hooks or module._forward_pre_hooks:
                return f"{name} has hooks"
        return (
            None if norm.running_mean is not None else "it keeps no running statistics"
        )


def _copied(model: ModuleT) -> ModuleT:
    """As ``deepcopy``, which refuses tensors that a hook computed and left as attributes."""
    computed = {
        # pruning and the older norms leave a computed weight on the module, history and all
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
    return deepcopy(model, computed)


def _bake_hooked(model: nn.Module) -> None:
    for module in model.modules():
        # a list: removing one changes the dictionary
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
        # fx would stop at any class of torch.nn, nn.Sequential aside
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
