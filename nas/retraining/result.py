"""What a retraining leaves: a model folder, tables of its epochs and seeds, and rows in the run it came from."""

from __future__ import annotations

import json
import statistics
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import pandas as pd
import torch

from evaluators import Dataset, Preprocess, TrainedModel, write_model_folder
from nas.retraining.plan import Plan
from nas.retraining.worker import Job, best_network
from nas.runs.lock import sole_driver
from results import EventLog, load_run, write_atomic
from results.log import events
from search_spaces import complexity

MEASURED = (
    "top1",
    "top5",
    "test_loss",
    "calibration_error",
    "validation_accuracy",
    "seconds",
)
LOG = "events.db"


@dataclass(frozen=True)
class RetrainingResult:
    """``seeds`` has a row per seed, ``epochs`` one per epoch, ``mean`` and ``spread`` (standard deviation between
    seeds; missing for one) the measures by name. ``chosen`` is the seed whose weights the folder holds."""

    folder: Path
    seeds: pd.DataFrame
    epochs: pd.DataFrame
    mean: dict[str, float]
    spread: dict[str, float]
    chosen: int


def write_results(
    folder: Path, plan: Plan, jobs: list[Job], dataset: Dataset
) -> RetrainingResult:
    """Gather all seeds, and write ``result.json``, ``epochs.parquet`` and ``.csv`` and the model folder."""
    rows = [json.loads((job.folder / "result.json").read_text()) for job in jobs]
    epochs = pd.DataFrame(
        [{"seed": job.seed} | row for job in jobs for row in job.history]
    )
    measured = [name for name in MEASURED if name in rows[0]]
    values = {name: [row[name] for row in rows] for name in measured}
    mean = {name: statistics.mean(each) for name, each in values.items()}
    # deviation between seeds; one seed tells of none
    spread = {
        name: statistics.stdev(each) for name, each in values.items() if len(each) > 1
    }
    # never by the test images: they are to judge, not to choose
    best = max(rows, key=lambda row: row.get("validation_accuracy", 0.0))
    chosen = int(best["seed"])
    found = RetrainingResult(folder, pd.DataFrame(rows), epochs, mean, spread, chosen)
    _write_tables(found, plan, rows)
    job = jobs[chosen]
    network, _ = best_network(job, dataset)
    write_model_folder(
        folder, _trained(plan, rows[chosen], found, dataset), network.state_dict()
    )
    return found


def _write_tables(
    found: RetrainingResult, plan: Plan, rows: list[dict[str, object]]
) -> None:
    # through memory, since write_atomic takes whole contents
    buffer = BytesIO()
    found.epochs.to_parquet(buffer, index=False)
    write_atomic(found.folder / "epochs.parquet", buffer.getvalue())
    write_atomic(found.folder / "epochs.csv", found.epochs.to_csv(index=False))
    content = {
        "arch_id": plan.network.id,
        "run": plan.run,
        "trial": plan.trial,
        "recipe": plan.name,
        "data": plan.data.name,
        "images": json.dumps(plan.owner(0)["data"]),
        "init": plan.init,
        "mean": found.mean,
        "spread": found.spread,
        "chosen_seed": found.chosen,
        "seeds": rows,
    }
    write_atomic(found.folder / "result.json", json.dumps(content, indent=2) + "\n")


def _trained(
    plan: Plan, row: dict[str, object], found: RetrainingResult, dataset: Dataset
) -> TrainedModel:
    measured = {
        name: row[name] for name in (*MEASURED[:5], "best_epoch") if name in row
    }
    spread = {
        f"{name}_spread": value
        for name, value in found.spread.items()
        if name in ("top1", "top5")
    }
    cost = complexity(plan.network, dataset.task)
    # folders of earlier versions do not say which one it was
    device = row.get("device", plan.device)
    found_by = {
        "run": plan.run,
        "trial": plan.trial,
        "recipe": plan.name,
        "epochs": plan.recipe.epochs,
        "seed": row["seed"],
        "seeds": plan.seeds,
        "trained_on": "train and validation"
        if plan.full
        else "train; the best epoch by validation",
        "init": plan.init,
    }
    return TrainedModel(
        plan.network,
        dataset.task,
        Preprocess.of_dataset(dataset),
        dataset.classes,
        measured
        | spread
        | {
            "flops": cost.flops,
            "macs": cost.macs,
            "data": plan.data.name,
            "device": device,
        },
        {name: value for name, value in found_by.items() if value is not None},
    )


def append_rows(plan: Plan, found: RetrainingResult, folder: Path) -> list[str]:
    """Tell the run's log of every seed, once; returns what the user should know if that cannot be."""
    if plan.run is None or plan.trial is None:
        return []
    run = Path(plan.run)
    place = str(folder.absolute())
    if not (run / LOG).is_file():
        return [f"{run} holds no {LOG}, so its tables do not tell of this retraining"]
    known = load_run(run).retrained
    # the same command twice must not tell of a seed twice
    done = set(known["seed"][known["folder"] == place]) if "folder" in known else set()
    rows = [row for row in found.seeds.to_dict("records") if row["seed"] not in done]
    if not rows:
        return []
    try:
        with sole_driver(run), EventLog(run / LOG) as log:
            log.commit(
                [events.Retrained(plan.trial, _event(plan, row, place)) for row in rows]
            )
    except (ValueError, OSError) as error:
        return [
            f"its rows could not be added to the run ({error}); the same command again tries anew"
        ]
    return []


def _event(plan: Plan, row: Mapping[Hashable, object], place: str) -> dict[str, object]:
    told = {
        str(name): value
        for name, value in row.items()
        if name not in ("init", "device")
    }
    return told | {
        "arch_id": plan.network.id,
        "recipe": plan.name,
        "full": plan.full,
        "data": plan.data.name,
        "settings": json.dumps(asdict(plan.recipe)),
        "torch": torch.__version__,
        "folder": place,
    }
