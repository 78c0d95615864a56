"""Our exact cost model against building the network and counting with fvcore, alternating in one process.

    python benchmarks/complexity.py [NETWORK ...]

Prints, per network, the median seconds of both sides over the rounds, their ratio, and whether the counts agree
to the integer. The block cache is emptied before each of our calls, so every call is a first call; a last line
gives the rate on random architectures, where blocks repeat and the cache helps.
"""

from __future__ import annotations

import argparse
from statistics import median
from time import perf_counter

import numpy as np

from evaluators import count_flops
from search_spaces import IMAGENET, build, complexity, get_space, network, reference

ROUNDS = 5
ARCHITECTURES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "networks",
        nargs="*",
        default=["resnest50", "resnest14d", "resnest50_fast_4s2x40d"],
    )
    for name in parser.parse_args().networks:
        compare(name)
    rate()


def compare(name: str) -> None:
    arch = reference(name)
    complexity(arch)
    ours, theirs, counts = [], [], set()
    for _ in range(ROUNDS):
        network._block_cost.cache_clear()
        started = perf_counter()
        counts.add(complexity(arch).flops)
        ours.append(perf_counter() - started)
        started = perf_counter()
        counts.add(count_flops(build(arch), IMAGENET))
        theirs.append(perf_counter() - started)
    ratio = median(theirs) / median(ours)
    agree = "equal" if len(counts) == 1 else f"DIFFERENT {sorted(counts)}"
    print(
        f"{name:24} complexity {median(ours) * 1e6:8.0f} us   build + fvcore {median(theirs) * 1e3:8.0f} ms   "
        f"ratio {ratio:8.0f}   counts {agree}"
    )


def rate() -> None:
    space, rng = get_space("resnest"), np.random.default_rng(0)
    archs = [space.sample(rng) for _ in range(ARCHITECTURES)]
    network._block_cost.cache_clear()
    started = perf_counter()
    for arch in archs:
        complexity(arch)
    print(
        f"{ARCHITECTURES} random networks of resnest: {ARCHITECTURES / (perf_counter() - started):.0f} a second"
    )


if __name__ == "__main__":
    main()
