"""From the description of a network to the network, and to its exact cost without the network."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import chain
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from search_spaces.blocks.ends import End
from search_spaces.blocks.layers import Resize
from search_spaces.blocks.residual import Block, ResidualBlock
from search_spaces.cost import Cost, Tally
from search_spaces.task import IMAGENET, Task


@dataclass(frozen=True)
class Description:
    """A network as a value: what a set of knobs lowers to and what its id hashes."""

    stem: End
    stages: tuple[tuple[Block, ...], ...]
    head: End


class Describable(Protocol):
    def describe(self) -> Description: ...


class StageInfo(NamedTuple):
    """What a stage puts out: its maps, and how many pixels of the image lie between two of theirs."""

    channels: int
    stride: int


class Network(nn.Sequential):
    """Stem, stages, head: (B, channels, H, W) images to (B, num_classes) logits.

    Stages are ``layer1 .. layerN``, in ResNeSt as in its official code; stem and head name their own layers.
    """

    def __init__(self, description: Description, task: Task) -> None:
        stem = description.stem.layers(task)
        head = description.head.layers(task)
        stages = {
            f"layer{number}": nn.Sequential(*(block.build() for block in stage))
            for number, stage in enumerate(description.stages, start=1)
        }
        super().__init__(OrderedDict(stem | stages | head))
        self.description = description
        self.task = task
        # what does not begin with one of these names is the head
        self._body = [*stem, *stages]
        self._stages = frozenset(stages)

    def features(self, x: Tensor) -> list[Tensor]:
        """The output of every stage, the last one being what ``classify`` takes.

        (B, channels, H, W) images of any size, also oblong, to maps of (B, C, ceil(H / stride), ceil(W /
        stride)) with C and stride as in ``feature_info``. Networks that resize their input to classify it do
        not do so here.
        """
        outputs = []
        for name in self._body:
            module = self.get_submodule(name)
            # a detector chooses its own size of image
            if isinstance(module, Resize):
                continue
            x = module(x)
            if name in self._stages:
                outputs.append(x)
        return outputs

    def classify(self, maps: Tensor) -> Tensor:
        """The head alone: the last of the ``features`` to (B, num_classes) logits."""
        for name, module in self.named_children():
            if self.in_head(name):
                maps = module(maps)
        return maps

    @property
    def stages(self) -> list[nn.Module]:
        """The stages in their order, each a sequence of blocks."""
        return [
            module for name, module in self.named_children() if name in self._stages
        ]

    @property
    def last_layer(self) -> str:
        """Name of the classifier, the last convolution or a linear layer: its outputs are the classes."""
        layers = [
            name
            for name, m in self.named_modules()
            if isinstance(m, nn.Conv2d | nn.Linear)
        ]
        last: str = layers[-1]
        return last

    def in_head(self, name: str) -> bool:
        """Whether a module, parameter or buffer of this name belongs to the head."""
        return name.partition(".")[0] not in self._body

    @property
    def feature_info(self) -> tuple[StageInfo, ...]:
        """Channels and stride of each of the ``features``."""
        return _feature_info(self.description, self.task)


@cache
def _feature_info(description: Description, task: Task) -> tuple[StageInfo, ...]:
    """By running the network on shapes alone: no memory, no arithmetic."""
    side = 2**20  # a multiple of every stride
    # tensors with a shape and no storage
    with torch.device("meta"), torch.inference_mode():
        network = Network(description, task).eval()
        image = torch.empty(1, task.channels, side, side)
        outputs = network.features(image)
    return tuple(StageInfo(maps.shape[1], side // maps.shape[2]) for maps in outputs)


def build(
    arch: Describable, task: Task = IMAGENET, *, zero_gamma: bool = True
) -> Network:
    """The network, with fresh weights drawn from torch's global generator.

    He initialisation over the fan-out; every residual branch ends in a norm that starts at zero unless
    ``zero_gamma`` is off. The classifier keeps torch's own start, by its inputs, whatever layer it is.
    """
    network = Network(arch.describe(), task)
    classifier = network.get_submodule(network.last_layer)
    for module in network.modules():
        # Over the fan-out, few classes would make large logits.
        if isinstance(module, nn.Conv2d) and module is not classifier:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if zero_gamma and isinstance(module, ResidualBlock):
            module.zero_gamma()
    return network


def complexity(arch: Describable, task: Task = IMAGENET) -> Cost:
    """Exact FLOPs, MACs, parameters and activations of ``build(arch, task)``, in microseconds."""
    description = arch.describe()
    x = Tally(task.channels, task.resolution, task.resolution)
    # nobody before the first convolution keeps the image, which its weights' gradient needs
    x.kept = False
    description.stem.cost(x, task)
    for block in chain.from_iterable(description.stages):
        # a block's input feeds its branch and its shortcut, and is kept once, here
        x.keep()
        # what a block costs depends on its input's shape alone
        cost, (x.channels, x.height, x.width, x.kept) = _block_cost(
            block, x.channels, x.height, x.width
        )
        x.add(cost)
    description.head.cost(x, task)
    return x.total()


@lru_cache(maxsize=100_000)
def _block_cost(
    block: Block, channels: int, height: int, width: int
) -> tuple[Cost, tuple[int, int, int, bool]]:
    """Cost of a block and what it leaves; most blocks of most networks have been seen before."""
    x = Tally(channels, height, width)
    block.cost(x)
    return x.total(), (x.channels, x.height, x.width, x.kept)
