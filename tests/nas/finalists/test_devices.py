"""Finalists on a cluster whose driver has no GPU: the device is the workers' to decide."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("ray")

from ray.cluster_utils import Cluster

from nas.engines import ray_cluster
from nas.engines.ray_probe import Needs, look
from nas.finalists.plan import plan_finalists
from results import load_run
from tests.nas.engines.test_cluster import NODE
from tests.nas.finalists.few import HOW

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason="this machine has a GPU"
)


def test_a_driver_without_a_gpu_plans_for_the_clusters(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "has_gpus", lambda address: True)
    joined = ("engine=ray", "ray.address=10.0.0.1:6379")
    work = plan_finalists(run, (*HOW, *joined))
    assert work.config.resources.gpus == 1
    assert work.training.plan.device == "cuda"
    assert "train_memory_mb" in work.training.metrics
    with pytest.raises(ValueError, match="there is no device 'cuda': torch"):
        look(Needs.of([work.training]))


@pytest.mark.slow
def test_nodes_say_what_they_lack(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU that only Ray believes in: the node says so; training on its CPU works."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the images are of these tests
    head = NODE | {"num_cpus": 0, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(**NODE | {"num_gpus": 1})
        done = finalists(run, cluster)
        assert done.returncode == 2
        assert "can train: ValueError: there is no device 'cuda'" in done.stderr
        done = finalists(run, cluster, "resources.gpus=0")
        assert done.returncode == 0, done.stderr
    finally:
        cluster.shutdown()
    assert set(load_run(run / "finalists").trials["status"]) <= {"complete", "stopped"}


def finalists(
    run: Path, cluster: Cluster, *settings: str
) -> subprocess.CompletedProcess[str]:
    joined = ("engine=ray", f"ray.address={cluster.address}")
    words = [word for each in (*HOW, *joined, *settings) for word in ("--set", each)]
    return subprocess.run(
        [sys.executable, "run_search.py", "finalists", str(run), *words],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
