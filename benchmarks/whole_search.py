"""A whole search against the script a good engineer writes first with Ray Tune: the same 16 small networks.

    python benchmarks/whole_search.py FOLDER [--images 10000] [--epochs 3] [--networks 16] [--rounds 3]

FOLDER holds CIFAR-10 as train.parquet and test.parquet. Theirs is a function trainable with Tune's default
actors around ``benchmarks/plain.py``; ours is ``nas.search``, which decodes the images anew every round. Each
side starts and ends as a process of its own, in turn, with another seed every round; the clock is the wall's.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean, median
from time import perf_counter, time
from typing import Any

from training import with_interval

SIDES = ("ours", "theirs")


def ours(told: argparse.Namespace, folder: Path) -> dict[str, Any]:
    from nas import search
    from nas.config.loading import validate
    from results import Event
    from results.log.events import EpochEnded, Proposed

    training = {
        "epochs": told.epochs,
        "batch_size": 128,
        "augment": {"shift": 4, "flip": True},
        "precision": told.precision,
    }
    config = validate(
        {
            "space": {"name": "sixteen:Sixteen", "number": list(range(told.networks))},
            "trials": told.networks,
            "seed": told.seed,
            "sampler": "random",
            "objectives": {"accuracy": "max", "flops": "min"},
            "evaluators": ["complexity", "training"],
            "data": {
                "name": "cifar10",
                "root": str(told.folder),
                "subset": told.images,
                "cache": str(folder / "cache"),
            },
            "training": training,
            "device": "cpu",
        },
        "whole_search.py",
    )
    launched: dict[int, float] = {}
    waits: list[float] = []

    def listen(event: Event) -> None:
        match event.content:
            case Proposed(trial=int(trial)):
                launched[trial] = time()
            case EpochEnded(trial=int(trial), epoch=1, metrics=metrics):
                waits.append(time() - metrics["seconds"] - launched[trial])

    run = search(config, folder / "run", [listen])
    assert (run.trials.status == "complete").all(), run.trials.error
    return {"accuracies": run.trials.accuracy.tolist(), "waits": waits}


def theirs(told: argparse.Namespace, folder: Path) -> dict[str, Any]:
    import torch
    from plain import authors_network, jpegs, plain_train, small_network
    from ray import tune

    from evaluators import Recipe

    recipe = Recipe(epochs=told.epochs, batch_size=128)

    def train(config: dict[str, Any]) -> None:
        torch.manual_seed(told.seed)
        network = authors_network(small_network(config["number"]))
        for row in plain_train(
            network, *jpegs(told.folder, told.images), recipe, told.workers
        ):
            tune.report(dict(row))

    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"number": tune.grid_search(list(range(told.networks)))},
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    results = tuner.fit()
    assert not results.errors, results.errors
    return {"accuracies": [result.metrics["accuracy"] for result in results]}


def run_side(side: str, seed: int, told: argparse.Namespace) -> dict[str, Any]:
    """One whole process; ``seconds`` is from its start to its end."""
    source = Path(__file__).resolve().parent
    paths = [str(source.parent), str(source), os.environ.get("PYTHONPATH", "")]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            *sys.argv,
            "--side",
            side,
            "--seed",
            str(seed),
            "--out",
            folder,
        ]
        started = perf_counter()
        subprocess.run(
            command, check=True, env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        )
        seconds = perf_counter() - started
        return json.loads((Path(folder) / "result.json").read_text()) | {
            "seconds": seconds
        }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--images",
        type=int,
        default=10_000,
        help="train and validation together (10000)",
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--networks", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--precision", default="auto", help="ours (auto: float32 on the CPU)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="of their DataLoader (0, the fastest here)",
    )
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    told.folder = told.folder.resolve()
    return told


def compare(told: argparse.Namespace) -> None:
    results: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for seed in range(told.rounds):
        for side in SIDES:
            result = run_side(side, seed, told)
            results[side].append(result)
            accuracy = mean(result["accuracies"])
            print(
                f"seed {seed} {side:7s} {result['seconds']:7.1f} s  mean accuracy {accuracy:.4f}",
                flush=True,
            )
    accuracies = {
        side: [mean(result["accuracies"]) for result in results[side]] for side in SIDES
    }
    gains = [a - b for a, b in zip(*accuracies.values(), strict=True)]
    ratios = [
        b["seconds"] / a["seconds"] for a, b in zip(*results.values(), strict=True)
    ]
    waits = [wait for result in results["ours"] for wait in result["waits"]]
    later = [
        wait for result in results["ours"] for wait in result["waits"][os.cpu_count() :]
    ]
    print(
        f"wall time, theirs / ours: {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}; wanted: 1.5)"
    )
    for side, values in accuracies.items():
        print(
            f"mean accuracy of the {told.networks} networks, {side}: {with_interval(values)}"
        )
    print(f"ours - theirs: {with_interval(gains)}")
    print(
        f"first epoch starts after launch, all trials: {median(waits):.2f} s, at most {max(waits):.2f} s"
    )
    if later:
        print(
            f"  trials in actors that ran before: {median(later):.2f} s, at most {max(later):.2f} s (wanted: 1)"
        )


def main() -> None:
    told = arguments()
    if told.side is None:
        compare(told)
        return
    result = {"ours": ours, "theirs": theirs}[told.side](told, told.out)
    (told.out / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
