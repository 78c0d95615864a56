"""Retrain a chosen network in full: several seeds, any number of processes, resumable after anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from evaluators import Dataset, Metrics, Preprocess, load_test
from evaluators.data.content import changed_images
from evaluators.data.progress import Progress
from evaluators.devices.device import training_device
from evaluators.training.checkpoint import DamagedCheckpointError, load_checkpoint
from evaluators.training.shard import ALONE
from nas.retraining.plan import (
    Plan,
    bound,
    changed_plan,
    check_same,
    load_plan,
    make_plan,
    save_plan,
)
from nas.retraining.result import RetrainingResult, append_rows, write_results
from nas.retraining.source import Origin
from nas.retraining.tensorboard import Board
from nas.retraining.weights import init_weights
from nas.retraining.worker import (
    BEFORE,
    BEST,
    LAST,
    START,
    Job,
    run_job,
    training_images,
)
from nas.runs.lock import sole_driver
from results import write_atomic

LOST_WORKERS = 3
"""So often in a row, without an epoch between, a process may be lost before that ends the retraining."""

OnEpoch = Callable[[int, int, Metrics], None]
Note = Callable[[str], None]
_CPU = torch.device("cpu")


def retrain(
    source: str | Path | None,
    out: str | Path,
    *,
    on_epoch: OnEpoch = lambda seed, epochs, metrics: None,
    note: Note = lambda text: None,
    progress: Progress = lambda what, done, total: None,
    other_data: bool = False,
    overrides: Sequence[str] = (),
    **options: object,
) -> RetrainingResult:
    """Train the network that ``source`` names to the end, test it, and leave a model folder at ``out``.

    ``source`` is a run folder (the best of its front, or ``trial``), a .json file that ``select`` wrote, or a
    published network; None goes on with what ``out`` holds. ``options`` are ``make_plan``'s: ``recipe`` (a
    preset or YAML file), ``data``, ``trial`` and the fields of ``RetrainConfig``, as are ``overrides``. The
    same call again goes on where it was interrupted.

    ``on_epoch`` is told of every epoch: its seed, how many epochs that will have, its metrics; ``note`` of what
    the user should know.

    Raises:
        ValueError: for a source, setting, image source or checkpoint that will not do, in one line.
        FloatingPointError: when a loss is infinite or NaN.
        OSError: when the disk is full; the last good checkpoint stays.
    """
    folder = Path(out)
    plan, origin = _plan(source, folder, other_data, overrides, options)
    dataset = training_images(plan, _CPU, progress)
    _check_task(dataset, origin, other_data)
    Preprocess.of_dataset(dataset)  # the model folder will need it
    plan = bound(plan, dataset.content, folder)
    if (plan.data == origin.data) and (
        change := changed_images(origin.images, dataset.content)
    ):
        note(
            f"{change} since the search, which chose this network by the images it had"
        )
    if change := _init_knows_others(plan, dataset):
        note(change)
    load_test(plan.data, progress)  # decoded now, so that nothing is missing in the end
    with ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(sole_driver(folder))
        save_plan(folder, plan)
        jobs = [
            Job(plan, seed, (folder / f"seed-{seed}").absolute())
            for seed in range(plan.seeds)
        ]
        unfinished = [job for job in jobs if not (job.folder / "result.json").is_file()]
        if unfinished:
            run = (
                _alone(plan)
                if plan.engine == "serial"
                else _on_ray(plan, folder, stack, note, progress)
            )
        # seed after seed: each takes all processes
        for job in unfinished:
            _one_seed(job, dataset, run, on_epoch, note, progress)
        found = write_results(folder, plan, jobs, dataset)
    for text in append_rows(plan, found, folder):
        note(text)
    return found


def _plan(
    source: str | Path | None,
    folder: Path,
    other_data: bool,
    overrides: Sequence[str],
    options: dict[str, Any],
) -> tuple[Plan, Origin]:
    if source is None:
        plan = changed_plan(load_plan(folder), overrides)
        origin = Origin(plan.network)
    else:
        plan, origin = make_plan(
            str(source), other_data=other_data, overrides=overrides, **options
        )
    if plan.engine == "serial":
        _check_serial(plan)
    if source is None:
        return plan, origin
    if (folder / "plan.json").exists():
        # nothing is trained yet: then the plan may still change
        if any(folder.glob("seed-*/*.pt")):
            check_same(load_plan(folder), plan, folder)
    elif (folder.is_dir() and any(folder.iterdir())) or folder.is_file():
        raise ValueError(
            f"{folder}: exists already and holds no retraining; name a new folder with --out"
        )
    return plan, origin


def _check_serial(plan: Plan) -> None:
    if plan.workers > 1:
        raise ValueError(f"workers {plan.workers}: only one process trains without Ray")
    training_device(plan.device)


def _check_task(dataset: Dataset, origin: Origin, other_data: bool) -> None:
    if origin.task is not None and not other_data and dataset.task != origin.task:
        raise ValueError(
            f"the images ask for {dataset.task}, those of the search for {origin.task}: they are not the same; "
            "--other-data retrains nevertheless"
        )


JobRunner = Callable[[Job, Callable[[], None]], None]


def _alone(plan: Plan) -> JobRunner:
    device = training_device(plan.device)

    def run(job: Job, watch: Callable[[], None]) -> None:
        run_job(job, ALONE, device, lambda metrics: watch())

    return run


def _on_ray(
    plan: Plan, folder: Path, stack: ExitStack, note: Note, progress: Progress
) -> JobRunner:
    from nas.engines.ray_cluster import connected
    from nas.retraining.ray_train import (
        LostWorkerError,
        run_distributed,
        workers_in_time,
    )

    stack.enter_context(connected(plan.ray, folder / "log.txt"))
    progress("starting workers", 0, 0)
    workers = workers_in_time(plan, note)

    def run(job: Job, watch: Callable[[], None]) -> None:
        lost = 0
        epochs = -1
        while True:  # a lost worker is replaced, unless that brings no epoch
            try:
                return run_distributed(job, workers, watch)
            except LostWorkerError as error:
                # an epoch in between means that it gets on: the count begins anew
                lost = lost + 1 if len(job.history) == epochs else 1
                epochs = len(job.history)
                if lost > LOST_WORKERS:
                    raise
                note(f"a worker was lost ({error}); going on after epoch {epochs}")

    return run


def _one_seed(
    job: Job,
    dataset: Dataset,
    run: JobRunner,
    on_epoch: OnEpoch,
    note: Note,
    progress: Progress,
) -> None:
    job.folder.mkdir(exist_ok=True)
    if not (job.folder / LAST).exists() and not (job.folder / BEFORE).exists():
        _start(job, dataset, note, progress)
    _drop_damaged(job, note)
    with Board(
        job.folder.parent / "tensorboard" / f"seed-{job.seed}", job.history
    ) as board:
        seen, epochs = len(job.history), job.plan.recipe.epochs

        def watch() -> None:
            nonlocal seen
            history = job.history
            for metrics in history[seen:]:
                on_epoch(job.seed, epochs, metrics)
                board.add(metrics)
            if seen < len(history) == epochs:
                progress(f"seed {job.seed}: testing", 0, 0)
            seen = max(seen, len(history))

        progress(f"seed {job.seed}: in epoch {min(seen + 1, epochs)} of {epochs}", 0, 0)
        run(job, watch)
        watch()


def _init_knows_others(plan: Plan, dataset: Dataset) -> str | None:
    """What to say of weights from a retraining on the same source, when that had other images."""
    folder = Path(plan.init or "")
    if not (folder / "plan.json").is_file():
        return None
    before = load_plan(folder)
    change = changed_images(before.images, dataset.content)
    if change is None or before.data.root != plan.data.root:
        return None
    return (
        f"{change} since {folder} was trained: it may have been trained on images that "
        "are to test with now, so take the test accuracy for too high"
    )


def _start(job: Job, dataset: Dataset, note: Note, progress: Progress) -> None:
    """Weights to start from, once for all processes."""
    if job.plan.init is None:
        return
    # of an earlier version, cut off as it was written
    (job.folder / START).unlink(missing_ok=True)
    network = job.network(dataset)
    start = init_weights(network, job.plan.network, job.plan.init, progress)
    weights = {
        name: value.clone().contiguous() for name, value in network.state_dict().items()
    }
    write_atomic(job.folder / START, save(weights))
    write_atomic(job.folder / "start.json", json.dumps(asdict(start)) + "\n")
    new = (
        f", new: {', '.join(start.new[:4])}{' …' * (len(start.new) > 4)}"
        if start.new
        else ""
    )
    note(
        f"seed {job.seed} starts from {start.source}: {start.share:.1%} of the parameters{new}"
    )


def _drop_damaged(job: Job, note: Note) -> None:
    """Put damaged checkpoints aside; what is written down of epochs follows the newest."""
    for name in (LAST, BEFORE, BEST):
        if not (path := job.folder / name).is_file():
            continue
        try:
            load_checkpoint(path, job.owner, _CPU)
        except DamagedCheckpointError:
            path.replace(path.with_suffix(".damaged"))
            note(
                f"checkpoint {path} is damaged and was put aside; going on from the one before"
            )
    state = job.state()
    epochs = state["history"] if state else []
    if epochs:
        note(f"seed {job.seed} goes on after epoch {len(epochs)}")
    write_atomic(job.folder / "epochs.json", json.dumps(epochs) + "\n")
