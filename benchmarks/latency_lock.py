"""What the device lock is worth: latency of a small ResNeSt while two processes train, without and with it.

    python benchmarks/latency_lock.py [--rounds 10]

A round builds the network and measures it once; the table gives the median over the rounds and their range.
"""

import argparse
import multiprocessing
import statistics
from collections.abc import Callable
from time import perf_counter

import torch

from evaluators import Latency, load, measure_latency, proxy_train
from evaluators.devices.lock import Shared
from search_spaces import ResNeSt, build

SMALL = ResNeSt(depths=(1, 1, 1, 1), widths=(8, 16, 32, 64), stem_width=8)
LARGER = ResNeSt(depths=(1, 2, 2, 1), widths=(16, 32, 64, 96), stem_width=16)


def train_forever(started: multiprocessing.Barrier) -> None:
    torch.set_num_threads(1)
    training = proxy_train(LARGER)
    next(training)
    started.wait()
    for seed in range(1_000_000):
        for _ in training:
            pass
        training = proxy_train(LARGER, seed=seed)


def row(name: str, rounds: int, measure: Callable[[], float]) -> None:
    started = perf_counter()
    latencies = [measure() for _ in range(rounds)]
    seconds = (perf_counter() - started) / rounds
    spread = f"{min(latencies):5.2f} to {max(latencies):5.2f}"
    print(
        f"{name:26s} {statistics.median(latencies):6.2f} ms  {spread}  {seconds:5.2f} s a round",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    task = load("digits").task
    # nothing is refused: it is the lock that is judged
    latency = Latency(task, max_load=1, interval=1)

    def alone() -> float:
        return next(latency.evaluate(SMALL))["latency_ms"]

    def unprotected() -> float:
        model = build(SMALL, task)
        return measure_latency(
            model, task, threads=latency.threads, max_load=1, interval=1
        ).median_ms

    row("idle", rounds, alone)
    context = multiprocessing.get_context("spawn")
    started = context.Barrier(3)
    trainers = [
        context.Process(target=train_forever, args=(started,), daemon=True)
        for _ in range(2)
    ]
    for trainer in trainers:
        trainer.start()
    started.wait()
    row("two trainers, no lock", rounds, unprotected)
    row("two trainers, with lock", rounds, alone)
    for trainer in trainers:
        trainer.kill()
    asked = perf_counter()
    with Shared(torch.device("cpu"), turn_seconds=0) as turn:
        for _ in range(10_000):
            turn.give_way()
    print(
        f"giving way costs {(perf_counter() - asked) / 10_000 * 1e6:.0f} microseconds"
    )


if __name__ == "__main__":
    main()
