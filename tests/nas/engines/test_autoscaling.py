"""A search makes Ray's own autoscaler bring all its nodes, from a cluster that has none at first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from results import load_run
from results.log.event_log import read_events
from results.log.events import Noted
from tests.nas.engines.test_cluster import OWN

ROOT = Path(__file__).parents[3]
CLUSTER = """
import subprocess, sys
from ray.cluster_utils import AutoscalingCluster
trainer = {"resources": {"CPU": 1, "object_store_memory": 80_000_000}, "node_config": {}, "max_workers": 3}
cluster = AutoscalingCluster({"CPU": 0, "object_store_memory": 80_000_000}, {"trainer": trainer})
cluster.start()
try:
    code = subprocess.run([sys.executable, *sys.argv[1:]]).returncode
finally:
    cluster.shutdown()
sys.exit(code)
"""
SETTINGS = (
    "ray.address=auto", "trials=9", "sampler=random", "data=digits", "reference_point=null",
    "objectives={accuracy: max, params: min}", "evaluators=[complexity, 'own:Slow']",
)  # fmt: skip
APART = 'mount --bind "$1" /tmp/ray; shift; "$@"; code=$?; wait; exit $code'
"""Ray's cluster for tests stops every Ray it finds: here it finds its own only."""


@pytest.mark.slow
def test_a_cluster_without_nodes_grows_to_all_it_may_have(tmp_path: Path) -> None:
    alone = ["unshare", "--mount", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("process namespaces are root's to make")
    (tmp_path / "own.py").write_text(OWN.replace("sleep(0.5)", "sleep(2)"))
    (tmp_path / "ray").mkdir()
    Path("/tmp/ray").mkdir(exist_ok=True)  # noqa: S108 - where Ray keeps its sessions
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    search = [str(ROOT / "run_search.py"), "search", "quick", "--out", "run", *words]
    programs = str(Path(sys.executable).parent)
    done = subprocess.run(
        [*alone, "bash", "-c", APART, "bash", str(tmp_path / "ray"), sys.executable, "-c", CLUSTER, *search],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    run = load_run(tmp_path / "run")
    assert list(run.trials["status"]) == ["complete"] * 9
    assert len(set(run.epochs["node"])) == 3, "all that the cluster may have"
    events = list(read_events(tmp_path / "run" / "events.db"))
    told = [each.content.text for each in events if isinstance(each.content, Noted)]
    assert told == [
        "waiting up to 10 min for nodes; resources: a trial wants 1 CPUs and 0 GPUs; "
        "the largest node has 0 CPUs and 0 GPUs"
    ]
    began = events[0].time
    firsts = run.epochs.groupby("node")["time"].min() if "time" in run.epochs else []
    print(
        "first epochs of the nodes, seconds after the start:",
        [t - began for t in firsts],
    )
