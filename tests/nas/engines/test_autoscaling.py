"""A search makes Ray's own autoscaler bring all its nodes, from a cluster that has none at first."""

from __future__ import annotations

import json
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
TRAINER = {"CPU": 1, "object_store_memory": 80_000_000}
AUTOSCALER = {
    "cluster_name": "fake", "max_workers": 3, "upscaling_speed": 1, "idle_timeout_minutes": 1, "auth": {},
    "provider": {
        "type": "fake_multinode", "head_node_id": 51 * "f" + "00000", "disable_node_updaters": True,
        "disable_launch_config_check": True,
    },
    "head_node_type": "head",
    "available_node_types": {
        "head": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "trainer": {"resources": TRAINER, "node_config": {}, "min_workers": 0, "max_workers": 3},
    },
    "file_mounts": {}, "file_mounts_sync_continuously": False,
    **dict.fromkeys((
        "cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands", "setup_commands",
        "head_setup_commands", "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands",
    ), ()),
}  # fmt: skip
"""Ray's provider for tests: its nodes are processes of this machine."""
SETTINGS = (
    "ray.address=auto", "trials=9", "sampler=random", "data=digits", "reference_point=null",
    "objectives={accuracy: max, params: min}", "evaluators=[complexity, 'own:Slow']",
)  # fmt: skip
CLUSTER = """
mount --bind "$PWD/ray" /tmp/ray
export AUTOSCALER_UPDATE_INTERVAL_S=1 RAY_FAKE_CLUSTER=1 RAY_AUTH_MODE=disabled
ray start --head --autoscaling-config=autoscaler.json --num-cpus=0 --object-store-memory=80000000 \\
    --include-dashboard=false
"$@"
"""
"""All of it ends with this shell, which is the first process of a namespace."""


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
    (tmp_path / "autoscaler.json").write_text(json.dumps(AUTOSCALER))
    done = subprocess.run(
        [*alone, "bash", "-c", CLUSTER, "bash", sys.executable, *search],
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
    firsts = {
        each.data["node"]: each.time for each in reversed(events) if "node" in each.data
    }
    waited = [round(time - events[0].time) for time in sorted(firsts.values())]
    print("the nodes' first epochs, in seconds after the start:", waited)
