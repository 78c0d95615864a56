"""Do zero-cost proxies order networks as a short training does, and better than their size does?

    python benchmarks/zero_cost.py [--networks 24] [--epochs 4]

Random networks of the space of the preset ``quick``, trained on digits. Prints Kendall's tau of each score with
the accuracy, with its 90 % interval, and what a score took.
"""

import argparse
from itertools import islice
from time import perf_counter

import numpy as np
import pandas as pd
import torch

from evaluators import Recipe, ZeroCost, load, proxy_train
from evaluators.zero_cost import PROXIES
from nas import load_config
from results.statistics.rank_agreement import rank_agreement
from search_spaces import complexity


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = load("digits").task
    space = load_config("quick").space.build()
    archs = list(islice(space.samples(np.random.default_rng(0)), options.networks))
    scores: dict[str, list[float]] = {"params": [], "flops": []}
    scores["params"] = [complexity(arch, task).params for arch in archs]
    scores["flops"] = [complexity(arch, task).flops for arch in archs]
    seconds = {}
    for proxy in PROXIES:
        started = perf_counter()
        scores[proxy] = [
            next(ZeroCost(proxy, task).evaluate(arch))[proxy] for arch in archs
        ]
        seconds[proxy] = (perf_counter() - started) / len(archs)
    started = perf_counter()
    accuracy = [
        list(proxy_train(arch, "digits", Recipe(epochs=options.epochs)))[-1]["accuracy"]
        for arch in archs
    ]
    seconds["training"] = (perf_counter() - started) / len(archs)
    print(
        f"{len(archs)} networks, {options.epochs} epochs: accuracy {min(accuracy):.3f} to {max(accuracy):.3f}"
    )
    agreement = rank_agreement(pd.DataFrame(scores), pd.Series(accuracy), level=0.9)
    for row in agreement.to_dict("records"):
        name = row["proxy"]
        ends = f"({row['kendall_lower']:6.3f} to {row['kendall_upper']:6.3f})"
        cost = (
            f"{seconds[name] * 1e3:5.0f} ms a network"
            if name in seconds
            else "exact, no network needed"
        )
        print(f"{name:8s} tau {row['kendall']:6.3f}  {ends}  {cost}")
    print(f"training {seconds['training'] * 1e3:.0f} ms a network")


if __name__ == "__main__":
    main()
