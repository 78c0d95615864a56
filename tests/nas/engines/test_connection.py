"""Joining a cluster: tokens, where a Ray of our own listens, whose modules a worker imports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray

from evaluators import Latency
from evaluators.latency.latency import UnstableLatencyError
from nas.engines.ray_latency import ReservedLatency
from results import load_run
from search_spaces import reference

ROOT = Path(__file__).parents[3]
HEAD = """
from ray.cluster_utils import Cluster
head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80_000_000}
cluster = Cluster(initialize_head=True, head_node_args=head)
print(cluster.address, flush=True)
input()
cluster.shutdown()
"""
SETTINGS = """
objectives: {flops: min, params: min}
evaluators: [complexity]
trials: 3
sampler: random
data: digits
"""
JOIN = """
import sys
from pathlib import Path
from nas.config.schema import RayConfig
from nas.engines.ray_cluster import connected
try:
    with connected(RayConfig(address=sys.argv[1]), Path("log.txt")):
        import ray
        actor = ray.remote(type("Worker", (), {"told": lambda self: "joined"})).remote()
        print(ray.get(actor.told.remote()))
except ValueError as error:
    print(error)
"""


def outward_address() -> str:
    """This machine's address in the network, if it is in one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def test_a_ray_of_our_own_listens_to_this_machine_only(ray_session: None) -> None:
    outward = outward_address()
    if outward.startswith("127."):
        pytest.skip("this machine is in no network")
    (node,) = ray.nodes()
    assert node["NodeManagerAddress"] == "127.0.0.1"
    for port in (node["NodeManagerPort"], node["ObjectManagerPort"]):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((outward, port), timeout=5)


def test_what_a_latency_device_raises_arrives_as_it_was(ray_session: None) -> None:
    @ray.remote(num_cpus=0)
    class Disturbed:
        def measure(self, latency: Latency, arch: object, seed: int) -> None:
            raise UnstableLatencyError("others took 99% of the CPU")

    reserved = ReservedLatency(Latency(), (Disturbed.remote(),))
    with pytest.raises(UnstableLatencyError) as raised:
        next(reserved.evaluate(reference("resnest14d")))
    assert type(raised.value) is UnstableLatencyError
    assert str(raised.value) == "others took 99% of the CPU"


@pytest.mark.parametrize("name", ["evaluators", "results", "search_spaces"])
def test_a_file_named_as_a_package_of_ours(tmp_path: Path, name: str) -> None:
    """A worker, whose path Ray has begun with the working folder, does as if it were not there; others name it."""
    (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong one')")
    (tmp_path / "own.py").write_text("FOUND = True")
    program = f"import nas, {name}, own; print({name}.__file__, own.FOUND)"
    path = os.pathsep.join([str(tmp_path), str(ROOT)])

    def imported(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT.parent, env=os.environ | {"PYTHONPATH": path} | environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    worker = imported(RAY_RAYLET_PID="1")
    assert worker.stdout.split() == [str(ROOT / name / "__init__.py"), "True"], worker
    last = imported().stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: {tmp_path / name}.py hides a package of")


def test_a_file_that_workers_would_take_for_the_program_is_named(
    tmp_path: Path,
) -> None:
    (tmp_path / "nas.py").write_text("raise RuntimeError('the wrong one')")
    program = JOIN.replace("import sys\n", f"import sys\nsys.path[0] = {str(ROOT)!r}\n")
    done = subprocess.run(
        [sys.executable, "-c", program, "local"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(f"{tmp_path / 'nas.py'}: Ray's workers would import")


@pytest.mark.slow
def test_files_named_as_our_packages_do_no_harm_to_a_search(tmp_path: Path) -> None:
    for name in ("evaluators", "results", "search_spaces"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong one')")
    (tmp_path / "mine.yaml").write_text(SETTINGS)
    program = "import sys; sys.path.pop(0); from nas.cli.commands import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "search", "mine.yaml", "--out", "run"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(load_run(tmp_path / "run").trials["status"]) == {"complete"}


@pytest.mark.slow
def test_tokens_are_asked_for_in_one_line_and_at_once(tmp_path: Path) -> None:
    for name, letters in (("token", "0123456789abcdef"), ("other", "fedcba9876543210")):
        (tmp_path / name).write_text(letters * 4)
    token = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    with head(tmp_path, RAY_AUTH_MODE="token", **token) as address:
        assert "there is none here; copy ~/.ray/" in driver(address, tmp_path)
        assert "there is none here" in driver(address, tmp_path, RAY_AUTH_MODE="token")
        other = {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "other")}
        assert "is not the cluster's" in driver(address, tmp_path, **other)
        off = token | {"RAY_AUTH_MODE": "disabled"}
        assert "export RAY_AUTH_MODE=token" in driver(address, tmp_path, **off)
        right = driver(address, tmp_path, **token)
        assert right == "joined", "without RAY_AUTH_MODE"


@pytest.mark.slow
def test_a_token_left_by_another_cluster_is_not_shown_to_one_without(
    tmp_path: Path,
) -> None:
    """A driver that had it would refuse the calls of the cluster, and every actor would die."""
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0123456789abcdef" * 4)
    with head(tmp_path, RAY_AUTH_MODE="disabled") as address:
        assert driver(address, tmp_path) == "joined"


@contextmanager
def head(folder: Path, **environment: str) -> Iterator[str]:
    """The address of a cluster in a process of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", HEAD],
        env=os.environ | {"HOME": str(folder)} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process.stdout.readline().strip() if process.stdout else ""
        finally:
            process.communicate("\n", timeout=60)


def driver(address: str, folder: Path, **environment: str) -> str:
    """What a process that joins has to say; of Ray itself, after 20 s, it would be another message."""
    done = subprocess.run(
        [sys.executable, "-c", JOIN, address],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
