"""Retrain a chosen network in full: several seeds, any number of processes, resumable after anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from evaluators import Dataset, Metrics, load_test
from evaluators.devices.device import resolve_device
from evaluators.training.checkpoint import DamagedCheckpointError, load_checkpoint
from evaluators.training.shard import ALONE
from nas.config.schema import RayConfig
from nas.retraining.plan import Plan, check_same, load_plan, make_plan, save_plan
from nas.retraining.result import Retrained, append_rows, write_results
from nas.retraining.source import Origin
from nas.retraining.tensorboard import Board
from nas.retraining.weights import init_weights
from nas.retraining.worker import BEFORE, BEST, LAST, START, Job, images, run_job
from nas.runs.lock import sole_driver
from results import write_atomic

LOST_WORKERS = 3
"""So often in a row, without an epoch between, a process may be lost before that ends the retraining."""

OnEpoch = Callable[[int, int, Metrics], None]
Note = Callable[[str], None]


def retrain(
    source: str | Path | None,
    out: str | Path,
    *,
    on_epoch: OnEpoch = lambda seed, epochs, metrics: None,
    note: Note = lambda text: None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
    other_data: bool = False,
    serial: bool = False,
    ray: RayConfig | None = None,
    **options: Any,
) -> Retrained:
    """Train the network that ``source`` names to the end, test it, and leave a model folder at ``out``.

    ``source`` is a run folder (the best of its front, or ``trial``), a .json file that ``select`` wrote, or a
    published network; None goes on with what ``out`` holds. ``options``: ``recipe`` (a preset or YAML file),
    ``overrides`` of it and of the images, ``data``, ``seeds``, ``workers``, ``device``, ``init``, ``trial`` as
    for ``make_plan``. The same call again goes on where it was interrupted. ``serial`` does without Ray, in
    this process.

    ``on_epoch`` is told of every epoch: its seed, how many epochs that will have, its metrics; ``note`` of what
    the user should know.

    Raises:
        ValueError: for a source, setting, image source or checkpoint that will not do, in one line.
        FloatingPointError: when a loss is infinite or NaN.
        OSError: when the disk is full; the last good checkpoint stays.
    """
    folder = Path(out)
    plan, origin = _plan(source, folder, other_data, options)
    if serial and plan.workers > 1:
        raise ValueError(f"workers {plan.workers}: only one process trains without Ray")
    device = resolve_device(plan.device)
    cpu = torch.device("cpu")
    dataset = images(plan, cpu)
    _check_task(dataset, origin, other_data)
    load_test(plan.data, progress)  # decoded now, so that nothing is missing in the end
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(sole_driver(folder))
        save_plan(folder, plan)
        jobs = [Job(plan, seed, (folder / f"seed-{seed}").absolute()) for seed in range(plan.seeds)]
        run = None
        for job in jobs:
            if not (job.folder / "result.json").is_file():
                run = run or (_alone(device) if serial else _on_ray(plan, folder, ray, stack, note))
                _one_seed(job, dataset, run, on_epoch, note, progress)
        found = write_results(folder, plan, jobs, dataset)
    for text in append_rows(plan, found, folder):
        note(text)
    return found


def _plan(
    source: str | Path | None, folder: Path, other_data: bool, options: dict[str, Any]
) -> tuple[Plan, Origin]:
    if source is None:
        plan = load_plan(folder)
        return plan, Origin(plan.network)
    plan, origin = make_plan(str(source), other_data=other_data, **options)
    if (folder / "plan.json").exists():
        if any(folder.glob("seed-*/*.pt")):
            check_same(load_plan(folder), plan, folder)
    elif (folder.is_dir() and any(folder.iterdir())) or folder.is_file():
        raise ValueError(f"{folder}: exists already and holds no retraining; name a new folder with --out")
    return plan, origin


def _check_task(dataset: Dataset, origin: Origin, other_data: bool) -> None:
    if origin.task is not None and not other_data and dataset.task != origin.task:
        raise ValueError(
            f"the images ask for {dataset.task}, those of the search for {origin.task}: they are not the same; "
            "--other-data retrains nevertheless"
        )


Run = Callable[[Job, Callable[[], None]], None]


def _alone(device: torch.device) -> Run:
    return lambda job, watch: run_job(job, ALONE, device, lambda metrics: watch())


def _on_ray(plan: Plan, folder: Path, config: RayConfig | None, stack: ExitStack, note: Note) -> Run:
    from nas.engines.ray_cluster import connected
    from nas.retraining.ray_train import LostWorkerError, run_distributed, workers_that_fit

    stack.enter_context(connected(config or RayConfig(), folder / "log.txt"))
    workers = workers_that_fit(plan.workers, plan.device)

    def run(job: Job, watch: Callable[[], None]) -> None:
        lost, epochs = 0, -1
        while True:
            try:
                return run_distributed(job, workers, watch)
            except LostWorkerError as error:
                lost, epochs = (lost + 1 if len(job.history) == epochs else 1), len(job.history)
                if lost > LOST_WORKERS:
                    raise
                note(f"a worker was lost ({error}); going on after epoch {epochs}")

    return run


def _one_seed(
    job: Job,
    dataset: Dataset,
    run: Run,
    on_epoch: OnEpoch,
    note: Note,
    progress: Callable[[str, int, int], None],
) -> None:
    job.folder.mkdir(exist_ok=True)
    if not (job.folder / LAST).exists() and not (job.folder / BEFORE).exists():
        _start(job, dataset, note, progress)
    _drop_damaged(job, note)
    with Board(job.folder.parent / "tensorboard" / f"seed-{job.seed}", job.history) as board:
        seen = len(job.history)

        def watch() -> None:
            nonlocal seen
            history = job.history
            for metrics in history[seen:]:
                on_epoch(job.seed, job.plan.recipe.epochs, metrics)
                board.add(metrics)
            seen = max(seen, len(history))

        run(job, watch)
        watch()


def _start(job: Job, dataset: Dataset, note: Note, progress: Callable[[str, int, int], None]) -> None:
    """Weights to start from, once for all processes."""
    if job.plan.init is None:
        return
    network = job.network(dataset)
    start = init_weights(network, job.plan.network, job.plan.init, progress)
    save_file(
        {name: value.clone().contiguous() for name, value in network.state_dict().items()}, job.folder / START
    )
    write_atomic(job.folder / "start.json", json.dumps(asdict(start)) + "\n")
    new = f", new: {', '.join(start.new[:4])}{' …' * (len(start.new) > 4)}" if start.new else ""
    note(f"seed {job.seed} starts from {start.source}: {start.share:.1%} of the parameters{new}")


def _drop_damaged(job: Job, note: Note) -> None:
    """Leave whole checkpoints alone; what is written down of epochs follows the newest."""
    for name in (LAST, BEFORE, BEST):
        if not (path := job.folder / name).is_file():
            continue
        try:
            load_checkpoint(path, job.owner, torch.device("cpu"))
        except DamagedCheckpointError:
            path.replace(path.with_suffix(".damaged"))
            note(f"checkpoint {path} is damaged and was put aside; going on from the one before")
    state = job.state()
    epochs = state["history"] if state else []
    if epochs:
        note(f"seed {job.seed} goes on after epoch {len(epochs)}")
    write_atomic(job.folder / "epochs.json", json.dumps(epochs) + "\n")
