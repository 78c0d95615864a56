"""Finalists on a Ray cluster of three nodes of this machine, whose driver and nodes are killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from results import load_run
from results.log.event_log import read_events
from results.metrics import CLOCKS
from tests.nas.engines.test_cluster import NODE

ROOT = Path(__file__).parents[3]
HOW = (
    *("networks=3", "random=1", "published=false", "seeds=2"),
    *("epochs=8", "batch_size=16"),
)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the images are of these tests
    head = NODE | {"num_cpus": 0, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield made
    finally:
        made.shutdown()


def command(run: Path, *further: str) -> list[str]:
    words = [word for each in (*HOW, *further) for word in ("--set", each)]
    return [sys.executable, "run_search.py", "finalists", str(run), *words]


def outcome(run: Path) -> object:
    told = json.loads((run / "finalists" / "finalists.json").read_text())
    for row in told["networks"]:
        for clock in CLOCKS:
            row.pop(clock, None)
    return told


def kinds(run: Path, kind: str) -> list[int | None]:
    log = run / "finalists" / "events.db"
    return [each.trial for each in read_events(log) if each.kind == kind]


def wait_until(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 240
    while not true():
        assert process.poll() is None, "it ended before it could be disturbed"
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
def test_a_killed_driver_and_killed_nodes_change_nothing(
    cluster: Cluster, searched: Path, run: Path
) -> None:
    subprocess.run(command(searched, "engine=serial"), cwd=ROOT, check=True)
    doomed = [cluster.add_node(**NODE), cluster.add_node(**NODE)]
    joined = command(run, "engine=ray", f"ray.address={cluster.address}")
    log, results = run / "finalists" / "events.db", "finalists/networks/*/*/result.json"

    driver = subprocess.Popen(joined, cwd=ROOT)
    wait_until(lambda: log.exists() and len(kinds(run, "finished")) > 1, driver)
    driver.kill()
    driver.wait()
    finished = {path: path.stat().st_mtime_ns for path in run.glob(results)}

    driver = subprocess.Popen(joined, cwd=ROOT)
    try:
        before = len(kinds(run, "epoch"))
        wait_until(lambda: len(kinds(run, "epoch")) > before, driver)
        for node in doomed:
            cluster.remove_node(node, allow_graceful=False)
        cluster.add_node(**NODE)
        assert driver.wait(timeout=400) == 0
    finally:
        driver.kill()
        driver.wait()

    assert outcome(run) == outcome(searched)
    assert kinds(run, "lost"), "trainings on the lost nodes"
    # what was finished was not trained again, and no epoch counts twice
    assert (
        finished.items() <= {p: p.stat().st_mtime_ns for p in run.glob(results)}.items()
    )
    epochs = load_run(run / "finalists").epochs
    assert not epochs.duplicated(["trial", "epoch"]).any()
