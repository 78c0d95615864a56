"""Kill -9 at random moments: the driver, a worker, a whole node. What is finished must be kept, and only once.

    python benchmarks/faults.py --kills 20 --trials 60

Starts a Ray cluster of three nodes on loopback and a real search on it (small networks on digits, early
stopping with pauses), kills one thing after another, resumes the search whenever its driver was hit, replaces
lost nodes, and at the end counts what the event log holds.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from ray.cluster_utils import Cluster

from results.log.event_log import read_events

ROOT = Path(__file__).parents[1]
NODE = {"num_cpus": 1}
SETTINGS = [
    "training.epochs=4", "latency.max_seconds=0.2", "latency.max_load=1",
    "stopper={name: moasha, eta: 2, mode: promote}", "sampler=random", "seed=1",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--pause",
        type=float,
        default=8.0,
        help="longest pause between kills, in seconds",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        # whoever else trains on this machine does not hold up this search
        os.environ["SPLITSEARCH_LOCK_DIR"] = name
        cluster = Cluster(
            initialize_head=True, head_node_args=NODE | {"include_dashboard": False}
        )
        try:
            kills = torment(cluster, folder, options)
        finally:
            cluster.shutdown()
        report(folder, kills, options.trials)


def torment(
    cluster: Cluster, folder: Path, options: argparse.Namespace
) -> Counter[str]:
    """Run the search to its end, killing on the way; what was killed how often."""
    chance, kills = random.Random(options.seed), Counter[str]()
    nodes = [cluster.add_node(**NODE) for _ in range(2)]
    driver = start("search", "quick", folder, cluster, options.trials)
    while True:
        try:
            if driver.wait(timeout=chance.uniform(1, options.pause)) == 0:
                return kills
            raise RuntimeError(
                f"the search ended with code {driver.returncode}:\n{told(folder)}"
            )
        except subprocess.TimeoutExpired:
            pass
        if kills.total() >= options.kills or not (folder / "events.db").exists():
            continue
        what = chance.choice(["driver", "worker", "node"])
        if what == "driver":
            driver.kill()
            driver.wait()
            driver = start("resume", folder, cluster, options.trials)
        elif what == "worker":
            workers = evaluations(cluster)
            if not workers:
                continue
            os.kill(chance.choice(workers), signal.SIGKILL)
        else:
            cluster.remove_node(nodes.pop(0), allow_graceful=False)
            nodes.append(cluster.add_node(**NODE))
        kills[what] += 1
        print(
            f"{kills.total():3d} killed: {what:8} {len(finished(folder)):3d} trials finished",
            flush=True,
        )


def start(command: str, *arguments: object) -> subprocess.Popen[bytes]:
    """``search PRESET FOLDER`` or ``resume FOLDER`` in a process of its own, on the cluster."""
    *names, folder, cluster, trials = arguments
    assert isinstance(cluster, Cluster)
    settings = [f"trials={trials}", f"ray.address={cluster.address}"]
    if command == "search":
        settings += [*SETTINGS, f"storage={folder}-checkpoints"]
    where = [*names, "--out", folder] if command == "search" else [folder]
    options = [word for setting in settings for word in ("--set", setting)]
    words = [sys.executable, ROOT / "run_search.py", command, *where, *options]
    with output_of(folder).open("ab") as output:
        return subprocess.Popen(list(map(str, words)), stdout=output)


def output_of(folder: object) -> Path:
    return Path(f"{folder}.txt")


def told(folder: Path) -> str:
    """The last that drivers printed, and what went wrong with trials."""
    lines = output_of(folder).read_text(errors="replace").splitlines()[-20:]
    errors = Counter(
        str(event.data["error"])
        for event in read_events(folder / "events.db")
        if event.kind == "finished" and event.data.get("error")
    )
    return "\n".join([*lines, *(f"{n} times: {error}" for error, n in errors.items())])


def evaluations(cluster: Cluster) -> list[int]:
    """Processes of this cluster that evaluate a trial."""
    raylets = {
        info.process.pid
        for node in cluster.list_all_nodes()
        for info in node.all_processes["raylet"]
    }
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            ours = parent in raylets and (folder / "cmdline").read_bytes().startswith(
                b"ray::ResourceTrainable"
            )
        except OSError:
            continue  # it has ended meanwhile
        if ours:
            found.append(int(folder.name))
    return found


def finished(folder: Path) -> Counter[int | None]:
    """How often each trial's end is in the log."""
    return Counter(
        event.trial
        for event in read_events(folder / "events.db")
        if event.kind == "finished"
    )


def report(folder: Path, kills: Counter[str], trials: int) -> None:
    events = read_events(folder / "events.db")
    proposed = Counter(event.trial for event in events if event.kind == "proposed")
    statuses = Counter(
        event.data["status"] for event in events if event.kind == "finished"
    )
    starts = sum(event.kind == "search_started" for event in events)
    seconds = events[-1].time - events[0].time
    print(
        f"{kills.total()} kills -9 ({', '.join(f'{n} {what}' for what, n in kills.items())}), {starts} starts"
    )
    print(
        f"{len(proposed)} trials proposed of {trials} asked for, {dict(statuses)}, {seconds:.0f} s"
    )
    twice = [
        trial for trial, times in (proposed + finished(folder)).items() if times != 2
    ]
    print(
        "every trial was proposed once and finished once"
        if not twice
        else f"WRONG: trials {twice}"
    )
    sys.exit(bool(twice) or len(proposed) != trials)


if __name__ == "__main__":
    main()
