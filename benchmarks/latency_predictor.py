"""How far predicted latency lies from measured latency, on random networks that the predictor has not seen.

    python benchmarks/latency_predictor.py [--networks 16] [--resolution 64] [--table FILE] [--max-load 0.1]

Prints, per search space: the error on held-out networks, the calibration's own estimate of it (leave one out),
and what the table cost. Measurements stay in the table: without --table it is a new one.
"""

import argparse
import tempfile
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np

from evaluators import Latency, LatencyTable, PredictedLatency
from search_spaces import Task, get_space

SPACES = ("resnest", "regnety", "fbnetv2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", type=int, default=16, help="held out, per space")
    parser.add_argument("--calibration", type=int, default=12)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--spaces", nargs="+", default=SPACES)
    parser.add_argument("--max-load", type=float, default=0.1)
    parser.add_argument("--interval", type=float, default=0.01)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    table = options.table or Path(tempfile.mkdtemp()) / "latency.db"
    latency = Latency(Task(10, options.resolution), max_load=options.max_load, interval=options.interval)
    print(latency.signature)
    print("space      networks   MAPE    tau   leave-one-out   table   seconds")
    for name in options.spaces:
        space = get_space(name)
        held_out = list(islice(space.samples(np.random.default_rng(1)), options.networks))
        predictor = PredictedLatency(latency, space, options.calibration, table=str(table))
        started = perf_counter()
        error = predictor.error(held_out)
        estimate = next(predictor.evaluate(held_out[0]))["predicted_latency_mape"]
        print(
            f"{name:10s} {error.networks:8d} {error.mape:6.1%} {error.tau:6.3f} {estimate:15.1%} "
            f"{len(LatencyTable(table)):7d} {perf_counter() - started:9.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
