"""One network measured in processes of its own, one after the other: do they agree?

    python benchmarks/latency_repeatability.py [--processes 10] [--network resnest14d] [--resolution 96]

Prints every median with how certain it was and what others took of the CPU meanwhile, and the coefficient of
variation of the medians. A process that refuses because others disturb says so and is left out.
"""

import argparse
import json
import statistics
import subprocess
import sys

from evaluators import UnstableLatencyError, measure_latency
from search_spaces import Task, build, reference


def measure(options: argparse.Namespace) -> None:
    task = Task(resolution=options.resolution)
    model = build(reference(options.network), task)
    try:
        result = measure_latency(
            model,
            task,
            options.device,
            threads=1,
            max_seconds=2,
            max_load=options.max_load,
        )
    except UnstableLatencyError as error:
        print(json.dumps({"refused": str(error)}))
    else:
        print(
            json.dumps(
                {
                    "ms": result.median_ms,
                    "interval": result.interval,
                    "load": result.load,
                }
            )
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--network", default="resnest14d")
    parser.add_argument("--resolution", type=int, default=96)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--max-load", type=float, default=0.1)
    parser.add_argument(
        "--once", action="store_true", help="measure in this process and print JSON"
    )
    options = parser.parse_args()
    if options.once:
        return measure(options)
    medians = []
    for _ in range(options.processes):
        command = [sys.executable, *sys.argv, "--once"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(done.stdout)
        if "refused" in result:
            print(result["refused"], flush=True)
            continue
        medians.append(result["ms"])
        load = "" if result["load"] is None else f", others took {result['load']:.0%}"
        print(
            f"{result['ms']:8.3f} ms, known to {result['interval']:.1%}{load}",
            flush=True,
        )
    if len(medians) > 1:
        variation = statistics.stdev(medians) / statistics.mean(medians)
        print(f"coefficient of variation {variation:.1%} over {len(medians)} processes")
    return None


if __name__ == "__main__":
    main()
