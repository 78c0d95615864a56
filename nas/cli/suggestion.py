"""The network to draw by hand for a budget, as a table and as an answer for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from nas.cli.fitting import FittingTable
from nas.config.pairs import read_limit
from results.wording import number
from search_spaces import Task, complexity, get_space
from search_spaces.proportions import published_of, suggest
from search_spaces.sampling.limits import LIMITED

SMALL = 64
"""Pixels up to which stems do not downsample, as the built-in data has it."""


def suggestion_answer(
    name: str, limits: Iterable[str], images: Mapping[str, int | None]
) -> dict[str, Any]:
    """The suggestion for each of ``limits`` (``macs=13e6``), its costs, and the published network it comes from.

    Raises:
        ValueError: as ``search_spaces.proportions.suggest``, or for an option that is no limit.
    """
    get_space(name)  # names the spaces there are
    task = _task(images)
    within = dict(read_limit(each) for each in limits)
    source, arch = suggest(name, within, task)
    cost = complexity(arch, task)
    return {
        "space": name,
        "arch": arch.to_dict(),
        "arch_id": arch.id,
        "proportions_of": source,
        "unchanged": arch == published_of(name)[source],
        "metrics": {metric: getattr(cost, metric) for metric in LIMITED},
    }


def _task(images: Mapping[str, int | None]) -> Task:
    given = {
        {"classes": "num_classes"}.get(name, name): value
        for name, value in images.items()
        if value is not None
    }
    small = given.get("resolution", SMALL + 1) <= SMALL
    return Task(**given, small_images=small)


def suggestion_table(answer: Mapping[str, Any]) -> Table:
    how = "as published" if answer["unchanged"] else "widths scaled"
    title = f"{answer['proportions_of']}, {how}: {answer['arch_id']}"
    table = FittingTable(
        title=title, title_justify="left", box=SIMPLE, show_header=False
    )
    table.add_column("what")
    table.add_column("value", overflow="fold")
    for metric, value in answer["metrics"].items():
        table.add_row(metric, number(metric, value))
    for knob, value in answer["arch"].items():
        table.add_row(knob, str(value))
    return table
