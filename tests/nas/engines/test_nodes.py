"""Nodes that cannot train get no work; what belongs to a worker is decided there. On clusters of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from nas.engines.ray_probe import own_line
from results import load_run
from results.log.event_log import read_events
from results.log.events import Lost, Noted
from tests.nas.engines.test_cluster import NODE, OWN

ROOT = Path(__file__).parents[3]
WITHOUT_US = """
import importlib.abc, sys
class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("nas", "evaluators", "results", "search_spaces"):
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Nothing())
"""
SETTINGS = (
    "trials=24", "sampler=random", "data=digits", "reference_point=null",
    "objectives={accuracy: max, params: min}",
    "evaluators=[complexity, 'own:Slow']",
)  # fmt: skip


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    head = NODE | {"num_cpus": 0, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield made
    finally:
        made.shutdown()


def search(
    cluster: Cluster, folder: Path, *settings: str
) -> subprocess.CompletedProcess[str]:
    (folder / "own.py").write_text(OWN.replace("sleep(0.5)", "sleep(0.3)"))
    words = [
        word
        for setting in (*SETTINGS, f"ray.address={cluster.address}", *settings)
        for word in ("--set", setting)
    ]
    return subprocess.run(
        [sys.executable, str(ROOT / "run_search.py"), "search", "quick", "--out", "run", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )  # fmt: skip


@pytest.mark.slow
def test_a_node_without_the_package_gets_no_work(
    cluster: Cluster, tmp_path: Path
) -> None:
    without = tmp_path / "without"
    without.mkdir()
    (without / "sitecustomize.py").write_text(WITHOUT_US)
    good = cluster.add_node(**NODE)
    bad = cluster.add_node(**NODE, env_vars={"PYTHONPATH": str(without)})
    done = search(cluster, tmp_path)
    assert done.returncode == 0, done.stderr
    run = load_run(tmp_path / "run")
    assert list(run.trials["status"]) == ["complete"] * 24
    assert set(run.epochs["node"]) == {good.node_id}, bad.node_id
    contents = [event.content for event in read_events(tmp_path / "run" / "events.db")]
    assert not [each for each in contents if isinstance(each, Lost)]
    (note,) = [each.text for each in contents if isinstance(each, Noted)]
    assert note.endswith("is left out: ModuleNotFoundError: No module named 'nas'")
    assert done.stdout.count(note) == 1


@pytest.mark.slow
def test_the_device_is_the_nodes_to_decide(cluster: Cluster, tmp_path: Path) -> None:
    """Half of a GPU that only Ray believes in: training on the CPU works, on the GPU the node says why not."""
    cluster.add_node(**NODE | {"num_gpus": 1, "num_cpus": 2})
    training = (
        "evaluators=[complexity, training]",
        "training.epochs=1",
        "trials=2",
        "resources.gpus=0.5",
    )
    done = search(cluster, tmp_path, *training, "device=auto")
    assert done.returncode == 2
    no_gpu = (
        "no node of the cluster can train: ValueError: there is no device 'cuda': torch"
    )
    assert no_gpu in done.stderr, done.stderr
    assert not (tmp_path / "run").exists()
    done = search(cluster, tmp_path, *training, "device=cuda")
    assert no_gpu in done.stderr, done.stderr
    done = search(cluster, tmp_path, *training, "device=cpu")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (
            "ray.exceptions.RayTaskError: \x1b[36mray::look()\x1b[39m (pid=1, ip=10.0.0.2)\n"
            "  File \"a.py\", line 3\n"
            "ModuleNotFoundError: No module named 'nas'\n",
            "ModuleNotFoundError: No module named 'nas'",
        ),
        (
            "ray.exceptions.ActorDiedError: The actor died.\n\tclass_name: A\n",
            "ray.exceptions.ActorDiedError: The actor died.",
        ),
        ("\nThe node is gone.\n", "The node is gone."),
        ("", "no reason is known"),
    ],
)  # fmt: skip
def test_the_own_line_of_a_report(report: str, line: str) -> None:
    assert own_line(report) == line
