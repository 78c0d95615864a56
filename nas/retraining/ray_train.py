"""Retraining on Ray Train: as many processes as wanted, on CPUs or GPUs, each seed a run of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import ray
import torch
from ray.train import RunConfig, ScalingConfig, WorkerGroupError
from ray.train.torch import TorchTrainer, get_device

from evaluators.training.memory import is_out_of_memory
from evaluators.training.shard import Shard
from nas.engines.ray_nodes import AllNodes, Node, alive_nodes
from nas.engines.ray_room import Demand, Patience, Room, room
from nas.retraining.plan import Plan
from nas.retraining.worker import Job, run_job

POLL_SECONDS = 0.2


class LostWorkerError(ChildProcessError):
    """A process of a retraining died; what it had finished is on disk."""


@dataclass(frozen=True)
class Workers:
    """``number`` processes with ``cpus`` cores and ``gpus`` GPUs each."""

    number: int
    cpus: float
    gpus: float


def workers_that_fit(plan: Plan) -> Workers:
    """What each process gets of the cluster.

    Raises:
        ValueError: if the nodes have no room for all processes.
    """
    nodes = [*alive_nodes().values()]
    number = plan.workers
    wanted = plan.resources
    on_gpus = plan.device.startswith("cuda") or (
        plan.device == "auto"
        and room(nodes, wanted.cpus or 1, wanted.gpus or 1) >= number
    )
    gpus = (1.0 if on_gpus else 0.0) if wanted.gpus is None else wanted.gpus
    # on the CPU every core counts; beside a GPU one feeds it
    cpus = wanted.cpus or (1.0 if gpus else equal_share(nodes, number))
    fits = room(nodes, cpus, gpus)
    if fits < number:
        raise ValueError(_lack(Workers(number, cpus, gpus), fits))
    return Workers(number, cpus, gpus)


def _lack(wanted: Workers, fits: int) -> str:
    return (
        f"workers {wanted.number}: {wanted.cpus:g} CPUs and {wanted.gpus:g} GPUs each, of which the nodes have "
        f"room for {fits}"
    )


def workers_in_time(plan: Plan, tell: Callable[[str], None]) -> Workers:
    """As ``workers_that_fit``; a cluster that boots, or grows, is asked for the nodes and waited for."""
    if plan.ray.address != "local":
        number = plan.workers
        wanted = plan.resources
        cpus = wanted.cpus or 1.0
        gpus = wanted.gpus
        if gpus is None:
            gpus = float(plan.device.startswith("cuda"))
        space = Room(cpus, gpus, AllNodes())
        demand = Demand()
        demand.ask("workers", space.bundle, number)
        try:
            Patience(plan.ray.wait_minutes, tell).wait(
                lambda: space.now() >= number,
                lambda: _lack(Workers(number, cpus, gpus), space.now()),
            )
        finally:
            demand.end()
    return workers_that_fit(plan)


def equal_share(nodes: Sequence[Node], number: int) -> float:
    """The most whole cores that each of ``number`` processes can have; none is spread over two nodes."""
    # an equal share of all cores may be more than any node has
    total = int(sum(node.get("CPU", 0) for node in nodes))
    # from the largest down
    shares = range(total // number, 1, -1)
    enough = (cpus for cpus in shares if room(nodes, cpus, 0) >= number)
    return float(next(enough, 1))


def run_distributed(job: Job, workers: Workers, watch: Callable[[], None]) -> None:
    """``run_job`` in every process; ``watch`` is called a few times a second meanwhile.

    Raises:
        LostWorkerError: if a process died.
        Exception: what ``run_job`` raised.
    """
    # not in the main thread, where Ray would take Ctrl-C for itself
    with tempfile.TemporaryDirectory(
        prefix="splitsearch-", ignore_cleanup_errors=True
    ) as storage:
        trainer = TorchTrainer(
            _work,
            train_loop_config={"job": job, "threads": max(1, int(workers.cpus))},
            scaling_config=ScalingConfig(
                num_workers=workers.number,
                use_gpu=workers.gpus > 0,
                resources_per_worker={"CPU": workers.cpus, "GPU": workers.gpus},
            ),
            run_config=RunConfig(name=f"seed-{job.seed}", storage_path=storage),
        )
        # the main thread stays free to tell of epochs and to hear Ctrl-C
        pool = ThreadPoolExecutor(1)
        running: Future[Any] = pool.submit(trainer.fit)
        try:
            while not running.done():
                watch()
                wait([running], POLL_SECONDS)
            watch()
            running.result()
        except WorkerGroupError as error:
            raise _reason(error) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _work(config: dict[str, Any]) -> None:
    context = ray.train.get_context()
    torch.set_num_threads(config["threads"])
    shard = Shard(context.get_world_rank(), context.get_world_size())
    device = torch.device(get_device())
    run_job(
        config["job"],
        shard,
        device,
        lambda metrics: ray.train.report({"epoch": metrics["epoch"]}),
    )


def _reason(error: WorkerGroupError) -> Exception:
    """What ended the processes: their own error if one had any, else that one was lost."""
    failures = [
        getattr(each, "_base_exc", each) for each in error.worker_failures.values()
    ]
    # when one process dies, all others fail too, of the broken connection: not their fault
    own = [each for each in failures if not _is_of_connection(each)]
    if own:
        return _without_memory(own[0]) or own[0]
    first = " ".join(str(failures[0]).split()) if failures else str(error)
    return LostWorkerError(f"{first:.200}")


def _without_memory(error: BaseException) -> ValueError | None:
    if not is_out_of_memory(error):
        return None
    reason = str(error).partition("\n")[0]
    return ValueError(
        f"too little memory: {reason:.200}; try --set accumulate=2 or a smaller batch_size"
    )


def _is_of_connection(error: BaseException) -> bool:
    """Whether Ray, or a process, noticed that another is gone."""
    # some of its errors are private
    rays = type(error).__module__.partition(".")[0] == "ray"
    if rays or isinstance(error, torch.distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and "gloo" in str(error)
