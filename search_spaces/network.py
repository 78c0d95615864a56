"""From the description of a network to the network, and to its exact cost without the network."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Protocol

from torch import nn

from .blocks import Block, ResidualBlock
from .cost import Complexity, Tally
from .layers import IMAGENET, End, Task


@dataclass(frozen=True)
class Description:
    """A network as a value: what a set of knobs lowers to and what its id hashes."""

    stem: End
    stages: tuple[tuple[Block, ...], ...]
    head: End


class Describable(Protocol):
    def describe(self) -> Description: ...


class Network(nn.Sequential):
    """Stem, stages, head: (B, channels, H, W) images to (B, num_classes) logits.

    Stages are ``layer1 .. layerN``, in ResNeSt as in its official code; stem and head name their own layers.
    """

    def __init__(self, description: Description, task: Task) -> None:
        stages = {
            f"layer{number}": nn.Sequential(*(block.build() for block in stage))
            for number, stage in enumerate(description.stages, start=1)
        }
        super().__init__(OrderedDict(description.stem.layers(task) | stages | description.head.layers(task)))


def build(arch: Describable, task: Task = IMAGENET, *, zero_gamma: bool = True) -> Network:
    """The network, with fresh weights drawn from torch's global generator.

    He initialisation over the fan-out; every residual branch ends in a norm that starts at zero unless
    ``zero_gamma`` is off.
    """
    network = Network(arch.describe(), task)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if zero_gamma and isinstance(module, ResidualBlock):
            module.zero_gamma()
    return network


def complexity(arch: Describable, task: Task = IMAGENET) -> Complexity:
    """Exact FLOPs, MACs, parameters and activations of ``build(arch, task)``, in microseconds."""
    description = arch.describe()
    x = Tally(task.channels, task.resolution, task.resolution)
    x.kept = False
    description.stem.cost(x, task)
    for block in chain.from_iterable(description.stages):
        x.keep()
        cost, (x.channels, x.height, x.width, x.kept) = _block_cost(block, x.channels, x.height, x.width)
        x.add(cost)
    description.head.cost(x, task)
    return x.total()


@lru_cache(maxsize=100_000)
def _block_cost(
    block: Block, channels: int, height: int, width: int
) -> tuple[Complexity, tuple[int, int, int, bool]]:
    """Cost of a block and what it leaves; most blocks of most networks have been seen before."""
    x = Tally(channels, height, width)
    block.cost(x)
    return x.total(), (x.channels, x.height, x.width, x.kept)
