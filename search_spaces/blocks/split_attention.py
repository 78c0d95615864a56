"""The Split-Attention convolution (Zhang et al. 2020, "ResNeSt: Split-Attention Networks", section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.module import _global_forward_hooks as hooks_on_all

from search_spaces.blocks.layers import DepthwiseSplits
from search_spaces.blocks.split_attention_function import (
    by_split,
    relu_pool,
    weigh,
    weighted_sum,
)
from search_spaces.cost import Tally


def gate_width(
    in_channels: int, radix: int, cardinality: int, reduction: int = 4
) -> int:
    """Channels between the two dense layers of the gate.

    The authors' ``max(in_channels * radix // reduction, 32)``, rounded up to a multiple of the cardinality:
    where it does not divide, their code refuses to build.
    """
    if reduction < 1:
        raise ValueError(f"reduction must be at least 1, got {reduction}")
    return round_up(max(in_channels * radix // reduction, 32), cardinality)


def round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


class SplitAttention(nn.Module):
    """Convolve into ``radix`` splits and sum them under weights that the splits' own content decides.

    (B, in_channels, H, W) -> (B, channels, H', W'). The convolution has ``cardinality * radix`` groups and
    writes its maps radix-major; the gate (equations 2 and 3 of the paper) writes cardinality-major. With
    ``radix=1`` the softmax over splits becomes a sigmoid. The gate's norm sees 1x1 maps, so training needs
    more than one image. Names of the sub-modules are the official ones. In training the gradients are by hand
    (``split_attention_function``), unless something needs plain operators: a transform, a tracer, a hook.

    ``groups`` of the convolution and ``gate_channels`` between the gate's layers may be given on their own:
    networks with many narrow groups need the gate to see across them. With ``groups=in_channels`` the
    convolution is depthwise, and every split filters every channel.

    Raises:
        ValueError: if a number of channels cannot be split into the groups.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        cardinality: int = 1,
        radix: int = 2,
        bias: bool = False,
        norm: bool = True,
        reduction: int = 4,
        *,
        groups: int | None = None,
        gate_channels: int | None = None,
    ) -> None:
        super().__init__()
        _check_groups(in_channels, channels, cardinality, radix)
        self.channels = channels
        self.cardinality = cardinality
        self.radix = radix
        # one group of the convolution writes one split of one cardinal group
        groups = groups or cardinality * radix
        between = gate_channels or gate_width(
            in_channels, radix, cardinality, reduction
        )
        # torch's depthwise convolution writes the maps of a channel side by side;
        # splits must lie radix-major
        convolution = (
            DepthwiseSplits
            if groups == in_channels > cardinality * radix
            else nn.Conv2d
        )
        self.conv = convolution(
            in_channels,
            radix * channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
        )
        # names and order are those of the official module, whose state dicts load
        self.bn0 = nn.BatchNorm2d(radix * channels) if norm else nn.Identity()
        # dense layers as 1x1 convolutions, which can be grouped
        self.fc1 = nn.Conv2d(channels, between, 1, groups=cardinality)
        self.bn1 = nn.BatchNorm2d(between) if norm else nn.Identity()
        self.fc2 = nn.Conv2d(between, radix * channels, 1, groups=cardinality)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn0(self.conv(x))
        # the fast way of training; plain operators serve everyone else
        if self._runs_by_hand(x):
            maps, pooled = relu_pool(x, self.radix)
            weights = self.weights(pooled).to(maps.dtype)
            return weigh(maps, weights, self.radix)
        # A view must not be overwritten, nor what an unknown norm keeps for its gradient.
        maps = F.relu(x, inplace=self._owns_maps(x))
        splits = by_split(maps, self.radix)
        total = splits[:, 0]
        for index in range(1, self.radix):
            total = total + splits[:, index]
        pooled = F.adaptive_avg_pool2d(total, 1)
        weights = self.weights(pooled).to(maps.dtype)
        return weighted_sum(maps, weights, self.radix)

    def _runs_by_hand(self, x: Tensor) -> bool:
        if not self.training or _needs_operators(x) or not self._owns_maps(x):
            return False
        # The gradient of maps that a hook takes out is to hold every way to the loss.
        return not (self.conv._forward_hooks or self.bn0._forward_hooks or hooks_on_all)

    def _owns_maps(self, x: Tensor) -> bool:
        """Whether nobody but this module needs the output of the first norm."""
        return isinstance(self.bn0, _BatchNorm | nn.Identity) and not _is_view(x)

    @staticmethod
    def cost(
        x: Tally,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        cardinality: int = 1,
        radix: int = 2,
        bias: bool = False,
        norm: bool = True,
        reduction: int = 4,
        *,
        groups: int | None = None,
        gate_channels: int | None = None,
    ) -> None:
        groups = groups or cardinality * radix
        # as in the constructor
        between = gate_channels or gate_width(x.channels, radix, cardinality, reduction)
        x.conv2d(radix * channels, kernel_size, stride, padding, dilation, groups, bias)
        if norm:
            x.norm()
        x.relu()
        # the gate sees the sum of the splits: channels, not radix * channels
        gate = x.branch(channels)
        gate.global_avg_pool()
        gate.conv2d(between, 1, groups=cardinality, bias=True)
        if norm:
            gate.norm()
        gate.relu()
        gate.conv2d(radix * channels, 1, groups=cardinality, bias=True)
        gate.sigmoid() if radix == 1 else gate.softmax()
        # else the weights are reordered, which copies them
        gate.kept = radix == 1 or cardinality == 1
        x.weigh(gate)
        x.channels = channels

    def weights(self, pooled: Tensor) -> Tensor:
        """(B, channels, 1, 1) -> (B, radix * channels, 1, 1), radix-major."""
        return self.attention(
            self.fc2(F.relu(self.bn1(self.fc1(pooled)), inplace=True))
        )

    def attention(self, gate: Tensor) -> Tensor:
        """Logits, cardinality-major, to weights, radix-major: (B, radix * channels, 1, 1) both."""
        # a softmax over one would always be 1
        if self.radix == 1:
            return gate.sigmoid()
        width = self.channels // self.cardinality
        # (B, cardinality, radix, width, 1, 1), softmax over the radix
        groups = gate.unflatten(1, (self.cardinality, self.radix, width))
        per_split = groups.softmax(2)
        # the maps lie radix-major, so the weights must too
        radix_major: Tensor = per_split.transpose(1, 2).flatten(1, 3)
        return radix_major


def _needs_operators(x: Tensor) -> bool:
    """Whether something that takes plain operators apart is running: a compiler, a tracer, a transform."""
    if type(x) is not Tensor:  # fx and tensor classes of other packages
        return True
    # torch gives the second no types
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
        return True
    # torch has no public question for these two
    forward_mode = forward_ad._current_level >= 0
    return forward_mode or torch._C._are_functorch_transforms_active()


def _is_view(x: Tensor) -> bool:
    return not _needs_operators(x) and x._is_view()


def _check_groups(
    in_channels: int, channels: int, cardinality: int, radix: int
) -> None:
    if radix < 1 or cardinality < 1:
        raise ValueError(
            f"radix and cardinality must be at least 1, got {radix} and {cardinality}"
        )
    if channels < 1:
        raise ValueError(f"channels must be at least 1, got {channels}")
    groups = f"cardinality {cardinality} x radix {radix}"
    _check_divides("in_channels", in_channels, cardinality * radix, groups)
    _check_divides("channels", channels, cardinality, f"cardinality {cardinality}")


def _check_divides(name: str, number: int, groups: int, words: str) -> None:
    if number % groups:
        raise ValueError(
            f"{words} does not divide {name} {number}; try {round_up(number, groups)}"
        )
