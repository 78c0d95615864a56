"""Your own space: knobs, the network that they describe, and how a trial chooses them. No registry."""

import sys
from dataclasses import asdict, dataclass
from typing import ClassVar

from nas import load_config, search
from search_spaces import Arch, Bottleneck, Description, Head, SearchSpace, Stem, choose


@dataclass(frozen=True)
class OneBlock(Arch):
    space: ClassVar[str] = "own_space:Blocks"  # where the class is found again
    width: int = 16
    radix: int = 2

    def describe(self) -> Description:
        w = self.width
        block = Bottleneck(2 * w, w, 4 * w, 2, self.radix, 1, "conv", "avg_pool")
        return Description(Stem(w, deep=False), ((block,),), Head(4 * w))


@dataclass(frozen=True)
class Blocks(SearchSpace):
    arch_type: ClassVar[type[Arch]] = OneBlock
    width: tuple[int, ...] = (8, 16, 24)
    radix: tuple[int, ...] = (0, 1, 2, 4)

    def suggest(self, trial) -> OneBlock:  # an optuna.Trial will do
        width = choose(trial, "width", self.width)
        return OneBlock(width, choose(trial, "radix", self.radix))

    def params(self, arch: Arch) -> dict[str, int]:
        return asdict(arch)


if __name__ == "__main__":
    config = load_config("quick", ["space=own_space:Blocks", "trials=6", *sys.argv[1:]])
    run = search(config, "runs/own-space", serial=True)
    print(run.front()[["arch.width", "arch.radix", "accuracy", "flops"]])
