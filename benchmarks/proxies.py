"""Is the proxy honest? How well what a search can afford ranks networks as the longest training does.

    python benchmarks/proxies.py RUN FOLDER [--networks 12] [--images 8000] [--epochs 9] [--out runs/proxies]
        [--table FILE]
    python benchmarks/proxies.py results/fronts/cifar10-small-random docs/evidence/proxies.parquet

RUN is a run of random networks trained to the end, FOLDER holds CIFAR-10; a table that an earlier call kept is
read instead, and nothing trained.

The run's first ``--networks`` complete trials are trained once more on ``--images`` of the images for
``--epochs`` epochs, which is the truth here, and twice more on less than the run had: half of its images, images
of half the side. Each is an ordinary run in ``--out``: called again, it goes on.

Prints Kendall's tau and Spearman's rho with the truth, with 95 % intervals: of
the run's accuracy after every epoch, of the smaller trainings, of zero-cost scores, parameters and MACs. A search
knows the MACs exactly, so what a proxy adds to them counts: ``beyond_macs`` is Kendall's partial tau given them.
Below, for all complete trials of the run, the same with the run's own last epoch in the place of the truth.
"""

from __future__ import annotations

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd
from listed import train_all
from scipy import stats

from nas import load_config
from results import Run, load_run, write_table
from results.statistics.rank_agreement import rank_agreement
from search_spaces import Arch, arch_from_dict

SCORES = ["synflow", "naswot", "zen"]
COSTS = ["params", "macs"]


def accuracies(run: Run) -> pd.DataFrame:
    """A row per complete network, by its id; a column per epoch."""
    ids = run.complete.set_index("trial")["arch_id"]
    curves = run.epochs.pivot_table(
        index="trial", columns="epoch", values="accuracy"
    ).reindex(ids.index)
    return curves.dropna().set_axis(ids[curves.dropna().index], axis=0)


def train_again(run: Run, asked: argparse.Namespace) -> pd.DataFrame:
    """Per network: the run's accuracy after every epoch, that of the other trainings, scores and costs."""
    config = load_config(str(run.path / "config.yaml")).model_dump(mode="json")
    first = run.complete.head(asked.networks)
    archs: list[Arch] = [arch_from_dict(json.loads(arch)) for arch in first["arch"]]
    data = config["data"] | {"root": str(asked.folder.resolve())}
    half, side = data["subset"] // 2, 16
    trainings: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "truth": ({"subset": asked.images}, {"epochs": asked.epochs}),
        "half of the images": ({"subset": half}, {}),
        f"{side}x{side} pixels": ({"resolution": side}, {}),
    }
    found = {}
    for name, (of_data, of_training) in trainings.items():
        settings = {
            "space": config["space"],
            "objectives": {"accuracy": "max", "macs": "min"},
            "evaluators": [
                "complexity",
                *(SCORES if name == "truth" else []),
                "training",
            ],
            "data": data | of_data,
            "training": config["training"] | of_training,
        }
        again = train_all(archs, asked.out / name.replace(" ", "-"), settings)
        found[name] = accuracies(again).iloc[:, -1]
        if name == "truth":
            scores = again.complete.set_index("arch_id")[SCORES]
    curves = accuracies(run).add_prefix("epoch ")
    costs = run.complete.set_index("arch_id")[COSTS]
    return pd.DataFrame(found).join([curves, scores, costs])


def agreement(proxies: pd.DataFrame, truth: pd.Series[float]) -> pd.DataFrame:
    """``results.statistics.rank_agreement`` and, beyond the MACs, the partial tau (Kendall 1942)."""
    beyond = []
    for name in proxies:
        ours, macs, size = (
            stats.kendalltau(*pair).statistic
            for pair in combinations((proxies[name], truth, proxies["macs"]), 2)
        )
        both = (1 - macs**2) * (1 - size**2)
        beyond.append(
            (ours - macs * size) / both**0.5 if name != "macs" else float("nan")
        )
    return rank_agreement(proxies, truth).assign(beyond_macs=beyond)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path, help="of CIFAR-10, or a table")
    parser.add_argument("--networks", type=int, default=12)
    parser.add_argument(
        "--images", type=int, default=8000, help="train and validation together (8000)"
    )
    parser.add_argument("--epochs", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("runs/proxies"))
    parser.add_argument(
        "--table", type=Path, help="keep a row per network in this file"
    )
    asked = parser.parse_args()
    try:
        run = load_run(asked.run)
    except ValueError as error:
        parser.error(str(error))
    if asked.folder.suffix == ".parquet":
        table = pd.read_parquet(asked.folder).set_index("arch_id")
    elif run.config["data"]["subset"] is None:
        parser.error(
            f"{asked.run}: was not searched on a subset of the images, which is to be halved"
        )
    else:
        table = train_again(run, asked)
    if asked.table:
        write_table(table.reset_index(names="arch_id"), asked.table)
    print(
        agreement(table.drop(columns="truth"), table["truth"])
        .round(2)
        .to_string(index=False)
    )
    curves = accuracies(run).add_prefix("epoch ")
    everything = curves.join(run.complete.set_index("arch_id")[COSTS])
    last = everything.pop(curves.columns[-1])
    print(agreement(everything, last).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
