"""A search on one GPU from end to end by the serial engine: networks of all families, front, report."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.gpu.setting import Figures, Setting, needs

ENDING = 60.0
"""Seconds kept for the last training, the front and the report."""
PACKAGES = ("click", "moocore", "optuna", "pandas", "plotly", "pydantic", "yaml")


def search(setting: Setting) -> Figures:
    """Up to 200 networks of the union space on all of CIFAR-10, latency on the device, in the time there is.

    ``trials_in_30_min`` is at the rate reached.
    """
    needs(*PACKAGES)
    import nas
    from results import write_report

    config = nas.load_config("cifar10-families", _settings(setting))
    with TemporaryDirectory() as folder:
        run = nas.search(config, Path(folder) / "run", serial=True)
        report = Path(folder) / "report.html"
        write_report(run, report)
        kilobytes = report.stat().st_size / 1e3
    return {
        "trials": len(run.trials),
        "complete": len(run.complete),
        "families": run.complete["space"].nunique(),
        "front": len(run.front()),
        "best_accuracy": float(run.complete["accuracy"].max()),
        "trials_in_30_min": len(run.trials) * 1800 / run.seconds,
        "ended": str(run.ended),
        "report_kb": kilobytes,
    }


def _settings(setting: Setting) -> list[str]:
    """The preset's, with all images and networks as large as a GPU makes worth while."""
    data = setting.data_settings(setting.size(50_000, 200))
    hours = max(setting.seconds - ENDING, setting.seconds / 2) / 3600
    values = {
        "data.name": data.name,
        "data.root": data.root or "null",
        "data.download": "false",
        "data.subset": data.subset,
        "data.validation": data.validation,
        "device": setting.device.type,
        "trials": setting.size(200, 4),
        "stop.hours": hours,
        "limits.macs": setting.size("[2.0e+7, 4.0e+8]", "[2.0e+6, 1.0e+7]"),
        "reference_point": "null",
        "stopper": setting.size("{name: moasha, eta: 2, min_epochs: 3}", "none"),
        "training.epochs": setting.size(6, 1),
        "training.batch_size": setting.size(256, 64),
        "latency.cuda_graph": str(setting.cuda).lower(),
        "latency.batch_size": setting.size(64, 1),
        "latency.max_seconds": setting.size(0.5, 0.02),
        "latency.interval": setting.size(0.02, 1.0),
    }
    return [f"{name}={value}" for name, value in values.items()]
