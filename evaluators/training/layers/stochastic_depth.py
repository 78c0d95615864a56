"""Stochastic depth and DropBlock, as hooks on the norms of a network: its weights keep their names."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from evaluators.training.recipe import Recipe
from search_spaces import Network
from search_spaces.blocks.residual import ResidualBlock


class Drops:
    """What ``recipe`` drops of ``model`` in training; nothing without gradients, so norms are measured on all.

    Raises:
        ValueError: if the network has no residual blocks, or no stages, for what is to be dropped.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, device: torch.device) -> None:
        self._most = recipe.drop_block
        # a tensor, for recorded steps to read
        self._rate = torch.zeros((), device=device)
        if recipe.stochastic_depth:
            norms = _branch_ends(model)
            for number, end in enumerate(norms, start=1):
                end.register_forward_hook(
                    # linear decay (Huang et al. 2016, section 3): early blocks make what all others use
                    _Skip(recipe.stochastic_depth * number / len(norms))
                )
        if recipe.drop_block:
            for norm in _last_norms(model):
                norm.register_forward_hook(_Blank(self._rate, recipe.drop_block_size))

    def advance(self, progress: float) -> None:
        """Go on to this share of the training: DropBlock's rate rises linearly from 0."""
        if self._most:
            self._rate.fill_(self._most * progress)


def _branch_ends(model: nn.Module) -> list[nn.BatchNorm2d]:
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    ends = [block.last_norm for block in blocks if block.last_norm is not None]
    if not ends:
        raise ValueError(
            "Recipe: stochastic_depth needs residual blocks, the network has none; set it to 0"
        )
    return ends


def _last_norms(model: nn.Module) -> list[_BatchNorm]:
    stages = model.stages[-2:] if isinstance(model, Network) else []
    norms = [
        module
        for stage in stages
        for module in stage.modules()
        if isinstance(module, _BatchNorm)
    ]
    if not norms:
        raise ValueError(
            "Recipe: drop_block needs stages of blocks, the network has none; set it to 0"
        )
    return norms


class _Skip:
    """Sets the branch of some images to 0 and scales the rest up, so that the mean stays."""

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def __call__(
        self, norm: nn.Module, inputs: object, branch: Tensor
    ) -> Tensor | None:
        if not (norm.training and torch.is_grad_enabled()):
            return None
        drawn = torch.rand(len(branch), 1, 1, 1, device=branch.device)
        kept = drawn >= self._rate
        factor = kept / (1 - self._rate)
        return branch * factor.to(branch.dtype)


class _Blank:
    """Sets squares of each map to 0 and scales the rest up; a gate's maps of one pixel stay."""

    def __init__(self, rate: Tensor, size: int) -> None:
        self._rate = rate
        self._size = size

    def __call__(self, norm: nn.Module, inputs: object, maps: Tensor) -> Tensor | None:
        height, width = maps.shape[2:]
        if not (norm.training and torch.is_grad_enabled()) or height * width == 1:
            return None
        side = min(self._size, height, width)
        kept = ~_squares(maps, side, self._rate)
        # by what was really blanked; a tensor, so nothing waits for the device
        scale = kept.numel() / kept.sum().clamp_min(1)
        return maps * (kept * scale).to(maps.dtype)


def _squares(maps: Tensor, side: int, rate: Tensor) -> Tensor:
    """Where squares of ``side`` cover the maps, so dense that the mean share is ``rate`` if none overlap.

    All lie inside (Ghiasi et al. 2018, equation 1).
    """
    batch, channels, height, width = maps.shape
    rows = height - side + 1
    columns = width - side + 1
    # each of the rows * columns corners that is drawn blanks side**2 pixels
    density = rate * (height * width) / (side**2 * rows * columns)
    drawn = torch.rand(batch, channels, rows, columns, device=maps.device)
    corners = drawn < density
    # a pixel is blanked if any corner within a square up and left of it is drawn
    padded = F.pad(corners.float(), [side - 1] * 4)
    return F.max_pool2d(padded, side, stride=1) > 0
