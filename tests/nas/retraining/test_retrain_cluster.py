"""Retraining and the proxy study on a Ray cluster of three nodes, all on this machine's loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

import nas
from results import load_run
from search_spaces import ResNeSt

ROOT = Path(__file__).parents[3]
NODE = {"num_cpus": 1, "object_store_memory": 80_000_000}
SMALL = ResNeSt(depths=(1, 1, 1, 1), widths=(8, 8, 8, 16), stem_width=8, radix=2)
SEARCH = (
    "trials=4", "training.epochs=1", "data.subset=200", "objectives={accuracy: max, flops: min}",
    "reference_point=null", "evaluators=[complexity, training]", "engine=serial",
)  # fmt: skip


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(
        initialize_head=True, head_node_args=NODE | {"include_dashboard": False}
    )
    try:
        made.add_node(**NODE)
        made.add_node(**NODE)
        yield made
    finally:
        made.shutdown()


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "run_search.py"), *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.slow
def test_three_nodes_share_a_retraining_and_a_study(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "arch.json").write_text(json.dumps({"arch": SMALL.to_dict()}))
    joined = ("--set", f"ray.address={cluster.address}", "--set", "epochs=1")
    more = ("--data", "digits", "--set", "data.subset=400", "--set", "batch_size=60")
    done = run(
        tmp_path,
        "retrain",
        "arch.json",
        *more,
        *joined,
        "--set",
        "workers=3",
        "--out",
        "out",
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["mean"]["top1"] > 0
    too_many = run(
        tmp_path,
        "retrain",
        "arch.json",
        *more,
        *joined,
        "--set",
        "workers=4",
        "--set",
        "ray.wait_minutes=0",
        "--out",
        "more",
    )
    assert too_many.returncode == 2
    assert (
        "workers 4: 1 CPUs and 0 GPUs each, of which the nodes have room for 3"
        in too_many.stderr
    )
    nas.search(nas.load_config("quick", SEARCH), tmp_path / "run")
    study = run(tmp_path, "proxy-study", "run", "--networks", "4", *joined)
    assert study.returncode == 0, study.stderr
    assert len(load_run(tmp_path / "run").retrained) == 4
