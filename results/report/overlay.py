"""Published networks behind a run's own in the report, where both solve the same task."""

from typing import Any

from results.report.charts import shown
from results.runs.run import Run
from results.statistics.public_models import comparable, public_models
from results.strict_json import JsonObject
from results.wording import scale

FAMILIES = {
    "resnest": "ResNeSt",
    "regnetx": "RegNet",
    "regnety": "RegNet",
    "efficientnet": "EfficientNet",
    "efficientnetv2": "EfficientNet",
}
SHARED = ("accuracy", "flops", "params", "activations")
"""Metrics that mean the same in a trials table; their latencies were taken on other devices."""


def overlay(run: Run, name: str) -> JsonObject:
    """What ``write_report(against=…)`` takes: public models of split attention's field, as plain values.

    Raises ``ValueError`` saying why a comparison would not be fair.
    """
    if name != "imagenet":
        raise ValueError(f"--against {name}: unknown; imagenet is the one there is")
    fair, reason = comparable({**run.config, "task": run.environment.get("task")})
    if not fair:
        raise ValueError(f"--against {name}: {reason}")
    models = public_models()
    models = models[models["family"].isin(list(FAMILIES))]
    columns: dict[str, list[Any]] = {
        metric: shown(models[metric], scale(metric)) for metric in SHARED
    }
    columns |= {
        "model": models["model"].tolist(),
        "resolution": shown(models["resolution"]),
    }
    columns["family"] = models["family"].map(FAMILIES).tolist()
    return {
        "note": f"Behind them {len(models)} public ImageNet models: {reason}, and at resolutions of their own.",
        "models": [
            dict(zip(columns, row, strict=True))
            for row in zip(*columns.values(), strict=True)
        ],
    }
