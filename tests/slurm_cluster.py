"""A Slurm of three nodes on this machine, to try job scripts on: ``python tests/slurm_cluster.py COMMAND``.

Runs the command where ``sbatch`` finds the cluster, then takes everything away. Needs root, network namespaces
and Debian's packages ``slurm-wlm munge``. Each node is a slurmd in namespaces of its own: an address, a host
name, an ``/etc/hosts`` in which that name is 127.0.1.1, as Debian has it, and a ``/tmp/ray``. Nothing leaves
this machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "ip", "unshare", "nsenter")
BRIDGE, NETWORK = "splitslurm", "10.77.0"
SETTINGS = """
ClusterName=splitsearch
SlurmctldHost={controller}({network}.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
SlurmdTimeout=15
SlurmdParameters=config_overrides
KillWait=30
MinJobAge=600
CommunicationParameters=NoAddrCache
SchedulerParameters=sched_interval=2
{nodes}
PartitionName=all Nodes=node[1-{count}] Default=YES MaxTime=INFINITE State=UP
"""
NODE = "NodeName=node{n} NodeAddr={network}.{host} CPUs={cpus} RealMemory=4000 State=UNKNOWN"
IN_NODE = """
set -e
hostname node{n}
mount --bind {folder}/hosts{n} /etc/hosts
mkdir -p /tmp/ray && mount --bind {folder}/ray{n} /tmp/ray
ip link set lo up
exec slurmd -D -N node{n} -f {folder}/slurm.conf > {folder}/slurmd{n}.log 2>&1
"""


def missing() -> str | None:
    """Why no Slurm can be set up here, if so."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces are root's to make"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"no {', '.join(lacking)} (Debian: apt install slurm-wlm munge iproute2)"
    if subprocess.run(
        ["unshare", "-n", "true"], capture_output=True, check=False
    ).returncode:
        return "this machine allows no network namespaces"
    return None


@contextmanager
def slurm_cluster(nodes: int = 3, cpus: int = 1) -> Iterator[dict[str, str]]:
    """The environment in which ``sbatch`` and the like find the cluster."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="splitsearch-slurm-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        _write_settings(folder, nodes, cpus)
        _start_munge(folder, stack)
        _link_nodes(nodes, stack)
        environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
        log = stack.enter_context((folder / "slurmctld.out").open("w"))
        _start(["slurmctld", "-D", "-f", f"{folder}/slurm.conf"], stack, log)
        for n in range(1, nodes + 1):
            script = IN_NODE.format(n=n, folder=folder)
            # `ip netns exec` would hide the cgroups, without which slurmd does not start
            enter = [
                "nsenter",
                f"--net=/run/netns/{BRIDGE}{n}",
                "unshare",
                "--mount",
                "--uts",
            ]
            _start([*enter, "bash", "-c", script], stack, log)
        _wait_for_nodes(environment, nodes, folder)
        yield environment


def _write_settings(folder: Path, nodes: int, cpus: int) -> None:
    folder.chmod(0o755)
    numbers = range(1, nodes + 1)
    for name in (
        "state",
        *(f"ray{n}" for n in numbers),
        *(f"node{n}" for n in numbers),
    ):
        (folder / name).mkdir()
    lines = [NODE.format(n=n, network=NETWORK, host=n + 1, cpus=cpus) for n in numbers]
    settings = SETTINGS.format(
        folder=folder,
        controller=socket.gethostname(),
        network=NETWORK,
        nodes="\n".join(lines),
        count=nodes,
    )
    (folder / "slurm.conf").write_text(settings)
    for n in numbers:
        others = "".join(f"{NETWORK}.{m + 1} node{m}\n" for m in numbers if m != n)
        text = f"127.0.0.1 localhost\n127.0.1.1 node{n}\n{NETWORK}.1 {socket.gethostname()}\n{others}"
        (folder / f"hosts{n}").write_text(text)


def _start_munge(folder: Path, stack: ExitStack) -> None:
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    files = {
        "key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munge.pid",
        "log-file": folder / "munge.log", "seed-file": folder / "munge.seed",
    }  # fmt: skip
    options = [f"--{name}={path}" for name, path in files.items()]
    log = stack.enter_context((folder / "munged.out").open("w"))
    _start(["munged", "--foreground", "--force", *options], stack, log)


def _link_nodes(nodes: int, stack: ExitStack) -> None:
    """A bridge of this machine with a network namespace for each node."""
    _ip("link add", BRIDGE, "type bridge")
    stack.callback(_ip, "link del", BRIDGE)
    _ip("addr add", f"{NETWORK}.1/24", f"dev {BRIDGE}")
    _ip("link set", BRIDGE, "up")
    for n in range(1, nodes + 1):
        space, end = f"{BRIDGE}{n}", f"splitn{n}"
        _ip("netns add", space)
        stack.callback(_ip, "netns del", space)
        _ip("link add", end, f"type veth peer name eth0 netns {space}")
        stack.callback(_ip, "link del", end)
        stack.callback(end_node, n)
        _ip("link set", end, f"master {BRIDGE} up")
        _ip("-n", space, f"addr add {NETWORK}.{n + 1}/24 dev eth0")
        _ip("-n", space, "link set eth0 up")
        # Ray asks the way to the outside for the address of a node
        _ip("-n", space, f"route add default via {NETWORK}.1")


def end_node(n: int) -> None:
    """Kill all that runs on a node, as a power failure does."""
    shown = subprocess.run(
        ["ip", "netns", "pids", f"{BRIDGE}{n}"],
        capture_output=True,
        text=True,
        check=True,
    )
    for process in map(int, shown.stdout.split()):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *" ".join(words).split()], check=True)


def _start(command: Sequence[str], stack: ExitStack, log: object) -> None:
    process = subprocess.Popen(command, stdout=log, stderr=log)  # type: ignore[call-overload]
    stack.callback(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=20)
        return
    process.kill()
    process.wait()


def _wait_for_nodes(environment: dict[str, str], nodes: int, folder: Path) -> None:
    for _ in range(20):
        time.sleep(2)
        shown = subprocess.run(
            ["timeout", "5", "sinfo", "--noheader", "--Node", "--format=%T"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if shown.stdout.split().count("idle") == nodes:
            return
    logs = "\n".join(path.read_text()[-2000:] for path in folder.glob("slurm*.[lo]*"))
    raise TimeoutError(f"no {nodes} idle nodes: {shown.stdout} {shown.stderr} {logs}")


if __name__ == "__main__":
    if reason := missing():
        sys.exit(f"no Slurm can be set up here: {reason}")
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    with slurm_cluster() as environment:
        sys.exit(subprocess.run(sys.argv[1:], env=environment, check=False).returncode)
