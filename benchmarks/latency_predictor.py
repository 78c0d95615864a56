"""How far predicted latency lies from measured latency, on random networks that the predictor has not seen.

    python benchmarks/latency_predictor.py [--networks 16] [--resolution 32] [--spaces quick resnest]

Prints, per search space (a preset's, or a family's networks of at most ``--macs``): the error on held-out
networks, what two measurements of one network differ by here, the calibration's own estimate of the error
(leave one out), and what it all cost. A held-out network is measured in three rounds, and the lowest median
counts: others' work, also that of a virtual machine's neighbours, which no system tells, only adds time.
The table is a new one without --table.
"""

import argparse
import tempfile
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.stats import kendalltau

from evaluators import Latency, LatencyTable, PredictedLatency
from evaluators.latency.predictor import mape
from nas import load_config
from nas.config.loading import presets
from search_spaces import Task, build, get_space

SPACES = ("quick", "resnest", "regnety", "fbnetv2")
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=16, help="held out, per space")
    parser.add_argument("--calibration", type=int, default=PredictedLatency.calibration)
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument(
        "--spaces", nargs="+", default=SPACES, help="presets or families"
    )
    parser.add_argument(
        "--macs", type=float, default=100e6, help="of a network, at most"
    )
    parser.add_argument("--max-load", type=float, default=0.1)
    parser.add_argument("--interval", type=float, default=0.01)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    table = options.table or Path(tempfile.mkdtemp()) / "latency.db"
    task = Task(10, options.resolution, small_images=options.resolution <= 64)
    latency = Latency(task, max_load=options.max_load, interval=options.interval)
    limits = {"macs": (None, options.macs)}
    print(latency.signature)
    print(
        "space       networks   milliseconds    MAPE    tau   rounds differ  leave-one-out  parts  seconds"
    )
    for name in options.spaces:
        space = (
            load_config(name).space.build() if name in presets() else get_space(name)
        )
        archs = list(
            islice(
                space.samples(np.random.default_rng(1), limits, task), options.networks
            )
        )
        predictor = PredictedLatency(
            latency, space, options.calibration, table=str(table), limits=limits
        )
        started = perf_counter()
        rows = [next(predictor.evaluate(arch)) for arch in archs]
        predicted = np.array([row["predicted_latency_ms"] for row in rows])
        rounds = np.array(
            [
                [latency.measure_alone(build(arch, task)).median_ms for arch in archs]
                for _ in range(ROUNDS)
            ]
        )
        measured = rounds.min(0)
        print(
            f"{name:12s} {len(archs):7d} {measured.min():6.1f} to {measured.max():5.1f}"
            f" {mape(predicted, measured):7.1%} {kendalltau(predicted, measured).statistic:6.3f}"
            f" {mape(rounds[0], rounds[1]):15.1%} {rows[0]['predicted_latency_mape']:14.1%}"
            f" {len(LatencyTable(table)):6d} {perf_counter() - started:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
