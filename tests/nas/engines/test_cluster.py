"""A search on a real Ray cluster of several nodes, all on this machine's loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from results import load_run
from results.log.event_log import read_events

ROOT = Path(__file__).parents[3]
NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}
OWN = '''
import time
import ray
from dataclasses import dataclass
from search_spaces import Task

@dataclass(frozen=True)
class Slow:
    """Four epochs of half a second, kept in a checkpoint; the accuracy is the epoch."""

    task: Task
    metrics = ("accuracy",)

    def evaluate(self, arch, *, seed=0, checkpoint=None):
        node = ray.get_runtime_context().get_node_id()
        done = int(checkpoint.read_text()) if checkpoint.exists() else 0
        for epoch in range(1, 5):
            if epoch > done:
                time.sleep(0.5)
                checkpoint.write_text(str(epoch))
            yield {"epoch": epoch, "accuracy": epoch / 10, "node": node, "began": done}
'''


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(
        initialize_head=True,
        head_node_args=NODE | {"num_cpus": 0, "include_dashboard": False},
    )
    try:
        yield made
    finally:
        made.shutdown()


@pytest.mark.slow
def test_nodes_that_measure_get_lost_and_join(cluster: Cluster, tmp_path: Path) -> None:
    cluster.add_node(**NODE | {"num_cpus": 0, "resources": {"latency_gpu": 1}})
    doomed = cluster.add_node(**NODE)
    (tmp_path / "own.py").write_text(OWN)
    settings = [
        f"ray.address={cluster.address}", "trials=8", "sampler=random", "data=digits",
        "objectives={accuracy: max, latency_ms: min}",
        "reference_point=null", "evaluators=[complexity, latency, 'own:Slow']", "latency.max_seconds=0.05",
        "latency.resource=latency_gpu", f"storage=file://{tmp_path}/checkpoints",
    ]  # fmt: skip
    words = [word for setting in settings for word in ("--set", setting)]
    command = [
        sys.executable,
        ROOT / "run_search.py",
        "search",
        "quick",
        "--out",
        "run",
        *words,
    ]
    path = os.environ | {"PYTHONPATH": str(tmp_path)}
    driver = subprocess.Popen(
        list(map(str, command)), cwd=tmp_path, env=path, stdout=subprocess.DEVNULL
    )
    try:
        log = tmp_path / "run" / "events.db"
        wait_for(log, "epoch", 6)
        cluster.remove_node(doomed, allow_graceful=False)
        joined = cluster.add_node(**NODE)
        assert driver.wait(timeout=400) == 0
    finally:
        driver.kill()
        driver.wait()
    run = load_run(tmp_path / "run")
    assert list(run.trials["status"]) == ["complete"] * 8
    assert run.trials["latency_ms"].notna().all()
    assert {doomed.node_id, joined.node_id} == set(run.epochs["node"]), "both trained"
    lost = [event.trial for event in read_events(log) if event.kind == "lost"]
    assert lost, "the trial on the lost node"
    assert (run.epochs.groupby("trial")["epoch"].apply(list).map(len) == 4).all()
    assert run.epochs["began"].max() > 0, "it went on from its checkpoint"
    assert not list((tmp_path / "checkpoints").glob("*")), "finished trials need none"


def test_what_no_node_can_run_is_refused_at_once(tmp_path: Path) -> None:
    settings = ["resources.cpus=4096", "trials=1"]
    words = [word for setting in settings for word in ("--set", setting)]
    command = [
        sys.executable,
        ROOT / "run_search.py",
        "search",
        "quick",
        "--out",
        "run",
        *words,
    ]
    done = subprocess.run(
        list(map(str, command)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "a trial wants 4096 CPUs" in done.stderr
    assert not (tmp_path / "run").exists()


def wait_for(log: Path, kind: str, times: int) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if (
            log.exists()
            and sum(event.kind == kind for event in read_events(log)) >= times
        ):
            return
        time.sleep(0.2)
    raise TimeoutError(f"fewer than {times} {kind} events")
