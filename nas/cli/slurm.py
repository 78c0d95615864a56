"""The job script with which Slurm runs a search: Ray on every node, the driver on the first."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nas.config.schema import SearchConfig

SCRIPT = r"""#!/bin/bash
{directives}
# Stopped before its time is up, the search ends in order and is queued again to go on; after `scancel`, or once
# it is over, it is not. Submitting this file again goes on with what is in the run folder.
trap again=yes USR1  # from Slurm, before the time is up
cd {working_folder} || exit
export PATH={programs}:$PATH run={run}
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN=$(python -c 'import secrets; print(secrets.token_hex(32))')
export RAY_USAGE_STATS_ENABLED=0 port=$((20000 + (SLURM_JOB_ID + 1000 * ${{SLURM_RESTART_COUNT:-0}}) % 10000))
export head=$(hostname -I | cut -d' ' -f1):$port

# `scancel` sends SIGTERM to all that runs here: the driver still needs the head while it ends
python -c 'import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.execvp(sys.argv[1], sys.argv[1:])' ray start --head --node-ip-address="${{head%:*}}" --port="${{head#*:}}" \
    --num-cpus="$SLURM_CPUS_ON_NODE" --include-dashboard=false > "slurm-$SLURM_JOB_ID.ray.log" 2>&1
# a node that is lost, or joins late, is no reason to end
[ "$SLURM_NNODES" = 1 ] || srun --no-kill --kill-on-bad-exit=0 --cpu-bind=none --exclude="$SLURMD_NODENAME" \
    --nodes=$((SLURM_NNODES - 1)) --ntasks=$((SLURM_NNODES - 1)) bash -c '
    trap exit TERM
    set -- --num-cpus="$SLURM_CPUS_ON_NODE"{latency_node}
    until ray start --address="$head" "$@" --block; do sleep 5; done' >> "slurm-$SLURM_JOB_ID.ray.log" 2>&1 &

if [ -f "$run/events.db" ]; then set -- resume "$run"; else set -- search {settings} --out "$run"; fi
{command} "$@" --set ray.address="$head" &
driver=$!
trap 'kill -TERM "$driver"' TERM
trap 'again=yes; kill -TERM "$driver"' USR1
[ -z "$again" ] || kill -TERM "$driver"
while kill -0 "$driver" 2> /dev/null; do wait "$driver"; done  # which also ends for a signal
wait "$driver"; code=$?
if [ "$again" ] && [ "$code" -ge 128 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
"""
LATENCY_NODE = r"""
    if [ "$SLURM_NODEID" = "$((SLURM_NNODES - 1))" ]; then set -- --num-cpus=0 --resources={resource}; fi"""


@dataclass(frozen=True)
class SlurmJob:
    """What the search asks Slurm for. ``options`` are further lines for sbatch, such as ``--account=mine``."""

    nodes: int
    gpus: int
    time: str
    options: Sequence[str] = ()

    def directives(self, name: str) -> str:
        asked = [
            f"--job-name={name}",
            f"--nodes={self.nodes}",
            "--ntasks-per-node=1",
            "--exclusive",
            "--mem=0",  # else Slurm gives a share of the memory
            *([f"--gpus-per-node={self.gpus}"] if self.gpus else []),
            f"--time={self.time}",
            "--signal=B:USR1@120",  # to the script, two minutes before
            "--no-kill",
            "--requeue",
            "--open-mode=append",
            *self.options,
        ]
        return "\n".join(f"#SBATCH {option}" for option in asked)


def job_script(
    config: SearchConfig,
    source: str,
    overrides: Sequence[str],
    run: Path,
    job: SlurmJob,
) -> str:
    """The script for the settings ``source``, a preset or file, with ``overrides``; it runs from this folder.

    Raises:
        ValueError: if Slurm's nodes cannot do what the settings ask.
    """
    _check(config, job)
    words = [source, *(word for each in overrides for word in ("--set", each))]
    resource = config.latency.resource
    latency_node = ""
    if resource is not None:
        # inside a script that stands in single quotes already
        units = '"{\\"' + resource + '\\": 1}"'
        latency_node = LATENCY_NODE.format(resource=units)
    return SCRIPT.format(
        directives=job.directives(run.name),
        working_folder=shlex.quote(str(Path.cwd())),
        programs=shlex.quote(str(Path(sys.executable).parent)),
        run=shlex.quote(str(run)),
        settings=shlex.join(words),
        command=_command(),
        latency_node=latency_node,
    )


def _check(config: SearchConfig, job: SlurmJob) -> None:
    if config.engine != "ray":
        raise ValueError(f"engine {config.engine}: several nodes need the engine ray")
    resource = config.latency.resource
    if resource is not None and job.nodes < 2:
        raise ValueError(
            "latency.resource: a node of its own measures; --nodes must be at least 2"
        )
    if resource is not None and not re.fullmatch(r"[\w.:-]+", resource):
        raise ValueError(
            f"latency.resource {resource!r}: in a job script it is of letters, digits, _ . : and -"
        )
    if (config.resources.gpus or 0) > job.gpus:
        raise ValueError(
            f"resources.gpus: a trial wants {config.resources.gpus:g} GPUs, a node of the job has {job.gpus}; "
            "give --gpus"
        )


def _command() -> str:
    """``splitsearch``, which stands beside the interpreter; in a clone without it, the file."""
    if Path(sys.executable).with_name("splitsearch").exists():
        return "splitsearch"
    return f"python {shlex.quote(str(Path(sys.argv[0]).absolute()))}"
