"""Simulated searches whose drivers are killed again and again, one per seed; violations are named with their seed.

python benchmarks/histories.py --count 10000
python benchmarks/histories.py --seed 4711        # one history, event by event
"""

from __future__ import annotations

import argparse
import sys
from time import process_time

from nas.testing import ViolationError, simulate_history


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--count", type=int, default=1000, help="histories, with seeds from 0 on"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="only this one, told event by event")
    told = parser.parse_args()
    if told.seed is not None:
        for event in simulate_history(told.seed).events:
            print(
                event,
                {
                    name: event.data[name]
                    for name in event.data
                    if name not in ("arch", "knobs")
                },
            )
        return
    violations = kills = events = raised = 0
    started = process_time()
    for seed in range(told.first, told.first + told.count):
        try:
            history = simulate_history(seed)
        except ViolationError as violation:
            violations += 1
            print(violation)
            continue
        kills, events, raised = (
            kills + history.kills,
            events + len(history.events),
            raised + history.raised,
        )
    seconds = process_time() - started
    print(
        f"{told.count} histories: {events} events, {kills} kills, limits raised {raised} times"
    )
    print(
        f"{violations} violations; {told.count / seconds:.1f} histories per second of CPU"
    )
    sys.exit(bool(violations))


if __name__ == "__main__":
    main()
