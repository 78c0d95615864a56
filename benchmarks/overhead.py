"""What a trial costs beside its evaluation: an evaluator that does nothing, here and in plain Ray Tune.

    python benchmarks/overhead.py --trials 200

Sides, one after another in one process: our search (log, replay and all), the same without Ray (``serial``),
``tune.Tuner`` + ``OptunaSearch`` with its defaults (on fewer trials: it takes seconds for each) and with
``reuse_actors``. Prints seconds a trial without the start of the search: the time between the first and the
last end of a trial.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search.optuna import OptunaSearch

import nas
from evaluators import Metrics
from nas.config.loading import validate
from nas.config.schema import RayConfig
from nas.engines.ray_cluster import connected
from results import load_run
from search_spaces import Arch, Task, get_space

OBJECTIVES = {"accuracy": "max", "cost": "min"}
KNOBS = {f"knob{number}": [1, 2, 3, 4] for number in range(8)}


@dataclass(frozen=True)
class Nothing:
    """Answers at once."""

    task: Task
    metrics = tuple(OBJECTIVES)

    def evaluate(
        self, arch: Arch, *, seed: int = 0, checkpoint: Path | None = None
    ) -> Iterator[Metrics]:
        number = int(arch.id, 16)
        yield {"accuracy": number % 997 / 997, "cost": number % 991 / 991}


def ours(trials: int, folder: Path, *, serial: bool) -> float:
    settings = {
        "trials": trials,
        "evaluators": ["benchmarks.overhead:Nothing"],
        "objectives": OBJECTIVES,
        "sampler": "random",
        "latency": {"max_seconds": 0.05},
    }
    nas.search(validate(settings, "benchmark"), folder, serial=serial)
    ended = load_run(folder).trials["finished"].sort_values()
    return float((ended.iloc[-1] - ended.iloc[0]).total_seconds()) / (trials - 1)


class PlainTrainable(tune.Trainable):
    """What `Nothing` does, as one would write it for Tune."""

    def setup(self, config: dict[str, Any]) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.values = new_config
        return True

    def step(self) -> dict[str, Any]:
        number = hash(tuple(self.values[name] for name in KNOBS))
        return {
            "accuracy": number % 997 / 997,
            "cost": number % 991 / 991,
            "done": True,
        }


class EndTimes(tune.Callback):
    def __init__(self) -> None:
        self.times: list[float] = []

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        self.times.append(time.perf_counter())


def plain(trials: int, *, reuse: bool) -> float:
    ends = EndTimes()
    with tempfile.TemporaryDirectory() as storage:
        tuner = tune.Tuner(
            PlainTrainable,
            param_space={name: tune.choice(values) for name, values in KNOBS.items()},
            tune_config=tune.TuneConfig(
                search_alg=OptunaSearch(
                    metric=list(OBJECTIVES), mode=list(OBJECTIVES.values())
                ),
                num_samples=trials,
                max_concurrent_trials=int(ray.cluster_resources()["CPU"]),
                reuse_actors=reuse,
            ),
            run_config=tune.RunConfig(
                storage_path=storage, callbacks=[ends], verbose=0
            ),
        )
        tuner.fit()
    return (ends.times[-1] - ends.times[0]) / (len(ends.times) - 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument(
        "--slow-trials", type=int, default=10, help="for Tune with its defaults"
    )
    options = parser.parse_args()
    get_space("resnest")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with connected(RayConfig(), folder / "log.txt"):
            sides = {
                "this project on Ray": lambda: ours(
                    options.trials, folder / "ray", serial=False
                ),
                "this project, serial": lambda: ours(
                    options.trials, folder / "serial", serial=True
                ),
                "Tuner + OptunaSearch, reuse_actors": lambda: plain(
                    options.trials, reuse=True
                ),
                "Tuner + OptunaSearch, defaults": lambda: plain(
                    options.slow_trials, reuse=False
                ),
            }
            reference = None
            for name, measure in sides.items():
                seconds = measure()
                reference = reference or seconds
                print(
                    f"{name:<38}{seconds:8.3f} s a trial   {seconds / reference:6.1f}x",
                    flush=True,
                )


if __name__ == "__main__":
    main()
