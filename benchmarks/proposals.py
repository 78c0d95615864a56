"""What a proposal costs late in a search, and whether many in flight differ.

    python benchmarks/proposals.py benchmarks/splatbench [--trials 400 3000] [--in-flight 16] [--samplers NAME ...]

The search is in the world of a recorded run (``nas.simulation.emulator``): so many networks, half of them
random and half proposed, are measured there; then ``--in-flight`` are kept in flight, and each that is
measured is followed by a proposal. Prints the processor's time of those (tell and ask), mean and longest; and
of what is in flight in the end how many networks differ, in how many knobs two of them do (mean; that of
random networks beside it), and over how much of the range of log FLOPs of random networks they are spread.
"""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from searchers import world

from nas.samplers.proposer import Proposal, Proposer
from nas.samplers.registry import make_sampler
from nas.simulation.emulator import Emulator
from search_spaces import Arch, complexity

GROUP = 20
"""Networks proposed together while the history is made."""
TIMED = 32


def measured(emulator: Emulator, arch: Arch) -> dict[str, float]:
    found = emulator.trajectory(arch)
    return {**found.costs, "accuracy": found.accuracy[-1], "epoch": emulator.epochs}


def searched(run: Path, sampler: str, trials: int) -> Proposer:
    """A proposer that knows so many measured networks."""
    emulator, config = world(run)
    made = Proposer(
        emulator.space,
        config.objectives,
        make_sampler(sampler, 0),
        task=emulator.task,
        limits=config.limits,
    )
    random = made.problem.draws(np.random.default_rng(1))
    for trial in range(trials // 2):
        arch = next(random)
        made.replay(trial, arch)
        made.tell(trial, "complete", measured(emulator, arch))
    for _ in range(trials // 2 // GROUP):
        for proposal in [made.ask() for _ in range(GROUP)]:
            if proposal and proposal.duplicate_of is None:
                made.tell(proposal.trial, "complete", measured(emulator, proposal.arch))
    return made


def timed(
    made: Proposer, emulator: Emulator, in_flight: int
) -> tuple[list[float], list[Arch]]:
    """Seconds of each proposal, and the networks in flight in the end."""
    flying: deque[Proposal] = deque()
    seconds = []
    while len(seconds) < in_flight + TIMED:
        values = measured(emulator, flying[0].arch) if len(flying) == in_flight else {}
        started = time.process_time()
        if values:
            made.tell(flying.popleft().trial, "complete", values)
        proposal = made.ask()
        seconds.append(time.process_time() - started)
        if proposal and proposal.duplicate_of is None:
            flying.append(proposal)
    return seconds[in_flight:], [proposal.arch for proposal in flying]


def apart(made: Proposer, archs: Sequence[Arch]) -> float:
    """In how many knobs two of them differ, on average."""
    knobs = [made.knobs(arch) for arch in archs]
    return float(
        np.mean(
            [
                sum(a.get(name) != b.get(name) for name in a | b)
                for a, b in combinations(knobs, 2)
            ]
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--trials", type=int, nargs="+", default=[400, 3000])
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--samplers", nargs="+", default=["evolution"])
    asked = parser.parse_args()
    emulator, _ = world(asked.run)
    for sampler in asked.samplers:
        for trials in asked.trials:
            made = searched(asked.run, sampler, trials)
            seconds, flying = timed(made, emulator, asked.in_flight)
            drawn = made.problem.draws(np.random.default_rng(2))
            random = [next(drawn) for _ in range(100)]
            spread, whole = (
                np.ptp(np.log([complexity(it, emulator.task).flops for it in some]))
                for some in (flying, random)
            )
            print(
                f"{sampler}, {trials} trials: {np.mean(seconds):.3f} s a proposal, "
                f"{max(seconds):.3f} s the longest; {len({it.id for it in flying})} of "
                f"{len(flying)} in flight differ, by {apart(made, flying):.1f} knobs "
                f"(random ones by {apart(made, random):.1f}), "
                f"over {spread / whole:.0%} of the range of log FLOPs",
                flush=True,
            )


if __name__ == "__main__":
    main()
