"""Your own space: knobs, the network that they describe, and how a trial chooses them. No registry."""

import sys
from dataclasses import dataclass
from typing import ClassVar

from nas import load_config, search
from search_spaces import (
    Arch,
    Bottleneck,
    Description,
    Head,
    SearchSpace,
    Stem,
    Trial,
    choose,
)


@dataclass(frozen=True)
class Pair(Arch):
    space: ClassVar[str] = "own_space:PairSpace"  # where the class is found again
    width: int = 16
    radix: int = 2

    def describe(self) -> Description:
        w = self.width
        first = Bottleneck(2 * w, w, 4 * w, 1, self.radix, 1, "conv", "conv")
        second = Bottleneck(4 * w, 2 * w, 8 * w, 2, self.radix, 1, "conv", "avg_pool")
        return Description(Stem(w, deep=False), ((first,), (second,)), Head(8 * w))


@dataclass(frozen=True)
class PairSpace(SearchSpace):
    arch_type: ClassVar[type[Arch]] = Pair
    width: tuple[int, ...] = (8, 16, 24)
    radix: tuple[int, ...] = (0, 1, 2, 4)

    def suggest(self, trial: Trial) -> Pair:
        return Pair(
            choose(trial, "width", self.width), choose(trial, "radix", self.radix)
        )

    def params(self, arch: Arch) -> dict[str, int]:
        return {"width": arch.width, "radix": arch.radix}


if __name__ == "__main__":
    settings = [
        "space=own_space:PairSpace",
        "trials=6",
        "training.epochs=2",
        *sys.argv[1:],
    ]
    run = search(load_config("quick", settings), "runs/own-space", serial=True)
    print(
        run.front()[["arch.width", "arch.radix", "accuracy", "flops"]].to_string(
            index=False
        )
    )
