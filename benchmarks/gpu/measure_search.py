"""A search on one GPU from end to end by the serial engine: networks of all families, front, finalists, report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.gpu.setting import Figures, Setting, needs

PACKAGES = ("click", "moocore", "optuna", "pandas", "plotly", "pydantic", "yaml")
SEARCHING, FINISHING = 0.6, 0.3
"""Shares of the time for the search and its finalists; the rest is for what is under way when either ends."""


def search(setting: Setting) -> Figures:
    """Up to 200 networks of the union space on all of CIFAR-10, latency on the device, in the time there is.

    Then the best of them are trained in full beside published and random networks. ``trials_in_30_min`` is at
    the rate reached. Leaves the run folder in ``runs``, its report in it.
    """
    needs(*PACKAGES)
    import nas
    from nas.finalists.finalists import finalists
    from results import write_report

    config = nas.load_config("cifar10-families", _search(setting))
    with _run_folder(setting) as folder:
        run = nas.search(config, folder, serial=True)
        finals = finalists(folder, overrides=_finalists(setting))
        report = folder / "report.html"
        write_report(run, report)
        kilobytes = report.stat().st_size / 1e3
    trained = finals.networks[finals.networks["status"] == "complete"]
    return {
        "trials": len(run.trials),
        "complete": len(run.complete),
        "families": run.complete["space"].nunique(),
        "front": len(run.front()),
        "best_accuracy": float(run.complete["accuracy"].max()),
        "trials_in_30_min": len(run.trials) * 1800 / run.seconds,
        "ended": str(run.ended),
        "in_full": len(trained),
        "best_in_full": float(trained["accuracy"].max()),
        "report_kb": kilobytes,
        "run": str(folder),
    }


@contextmanager
def _run_folder(setting: Setting) -> Iterator[Path]:
    """A new one; that of a dry run is gone at its end."""
    if not setting.tiny:
        yield Path("runs") / f"gpu-{datetime.now():%Y%m%d-%H%M%S}"
        return
    with TemporaryDirectory() as folder:
        yield Path(folder) / "run"


def _search(setting: Setting) -> list[str]:
    """The preset's, with all images and networks as large as a GPU makes worth while."""
    data = setting.data_settings(setting.size(50_000, 100))
    values = {
        "data.name": data.name,
        "data.root": data.root or "null",
        "data.download": "false",
        "data.subset": data.subset,
        "data.validation": data.validation,
        "device": str(setting.device),
        "trials": setting.size(200, 3),
        "stop.hours": SEARCHING * setting.seconds / 3600,
        "limits.macs": setting.size("[2.0e+7, 4.0e+8]", "[2.0e+6, 1.0e+7]"),
        "reference_point": "null",
        "stopper": setting.size("{name: moasha, eta: 2, min_epochs: 3}", "none"),
        "training.epochs": setting.size(6, 1),
        # each epoch sees all the training images there are, and validates on all
        "training.images_per_epoch": "null",
        "training.rung_images": "null",
        "training.batch_size": setting.size(256, 64),
        "latency.cuda_graph": str(setting.cuda).lower(),
        "latency.batch_size": setting.size(64, 1),
        "latency.max_seconds": setting.size(0.5, 0.02),
        "latency.interval": setting.size(0.02, 1.0),
    }
    return [f"{name}={value}" for name, value in values.items()]


def _finalists(setting: Setting) -> list[str]:
    values = {
        "engine": "serial",
        "networks": setting.size(4, 1),
        "random": setting.size(2, 0),
        "published": str(not setting.tiny).lower(),
        "epochs": setting.size(20, 1),
        "seeds": 1,
        "hours": FINISHING * setting.seconds / 3600,
    }
    return [f"{name}={value}" for name, value in values.items()]
