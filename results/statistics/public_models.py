"""Published ImageNet models to set a search's front against, and whether that is fair."""

import re
from collections.abc import Mapping
from importlib.resources import as_file, files
from typing import Any

import pandas as pd

from results.metrics import units

CLASSES = 1000
PUBLIC_RESOLUTIONS = (106, 800)
"""Sides of the test images among the public models, from small to large, in pixels."""
_IMAGENET = re.compile(r"\b(imagenet|ilsvrc)([-_ ]?(1k|2012))?\b")


def public_models() -> pd.DataFrame:
    """Published ImageNet classifiers: ``model``, ``family``, ``recipe`` and the columns in ``attrs["units"]``.

    ``accuracy`` is top-1 after each model's full training, ``flops`` and ``params`` count as in a trials
    table. Columns and source: ``results/statistics/public_data/README.md``.
    """
    return _read("imagenet.parquet")


def resnest_rivals() -> pd.DataFrame:
    """Per public ResNeSt, benchmark table and family: the family's fastest network that is no less accurate.

    ``ratio`` is its throughput over the ResNeSt's: above 1 the family is ahead; NaN: it has none so accurate.
    Families are ImageNet-1k weights without distillation, with the recipes of today, except the two marked 2020:
    those are the weights of the year in which ResNeSt appeared, and nobody has retrained a ResNeSt since.
    Columns and source: ``results/statistics/public_data/README.md``.
    """
    return _read("resnest_rivals.parquet")


def _read(name: str) -> pd.DataFrame:
    with as_file(files("results.statistics") / "public_data" / name) as path:
        table = pd.read_parquet(path)
    table.attrs["units"] = units(map(str, table))
    return table


def comparable(config: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether a run with these settings has the task of the public models; the reason in words either way.

    The settings must name ImageNet-1k as their data; classes and a resolution that they state, under ``task`` or
    ``data``, must be those of the public models.
    """
    data = config.get("data")
    data = {"name": data} if isinstance(data, str) else dict(data or {})
    task = dict(config.get("task") or {})
    name = str(data.get("name") or "unknown data")
    classes = task.get("num_classes")
    side = task.get("resolution") or data.get("resolution")
    least, most = PUBLIC_RESOLUTIONS
    if not _IMAGENET.search(name.lower()):
        return False, f"the public models are trained on ImageNet, this run on {name}"
    if classes not in (None, CLASSES):
        return (
            False,
            f"the public models tell {CLASSES} classes apart, this run {classes}",
        )
    if side is not None and not least <= side <= most:
        tested = f"the public models are tested at {least} to {most} pixels"
        return False, f"{tested}, this run at {side}"
    fair = f"{name} has the task of the public models"
    return True, f"{fair}; theirs are accuracies after full training"
