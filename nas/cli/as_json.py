"""Answers for scripts: one JSON object each, in the words of the trials table.

A network is the same object everywhere, that of ``front.json``: metrics by the names
and in the units of the trials table, ``arch`` as ``retrain`` takes it. What was not
measured is null or missing, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import click

from nas.config.loading import load_space
from results import Run, Selection
from results.objectives import Directions
from results.runs.run import network_record
from results.runs.status import Status
from results.strict_json import JsonObject, dumps
from search_spaces import REFERENCES
from search_spaces.catalog import SPACES

ANSWER_FORMAT = 1
"""Grows when a key of an answer goes away or changes its meaning; new keys leave it."""


def print_json(answer: Mapping[str, object]) -> None:
    """The answer in one line and nothing else on stdout, in ASCII for any locale."""
    click.echo(dumps({"format": ANSWER_FORMAT, **answer}))


def front_answer(run: Run, objectives: Directions) -> JsonObject:
    return {"run": _place(run), **run.front_record(objectives)}


def selection_answer(run: Run, selection: Selection) -> JsonObject:
    """The networks picked, best first, and ``why``."""
    networks = [network_record(row) for row in selection.rows.to_dict("records")]
    return {"run": _place(run), "why": selection.why, "networks": networks}


def status_answer(status: Status) -> JsonObject:
    """``ended`` is null while the search runs; ``silent`` says that it was perhaps killed."""
    run = status.run
    return {
        "run": _place(run),
        "ended": run.ended,
        "silent": status.silent,
        "trials": status.counts,
        "running": [network_record(row) for row in status.running],
        "front": status.front,
        "hypervolume": status.hypervolume,
        "reference_point": run.reference_point() if run.objectives else None,
        "no_front": run.no_front,
        "seconds": run.seconds,
        "seconds_left": status.seconds_left,
        "seconds_since_last_event": status.age,
        "left": status.left,
        "damage": run.damage,
    }


def spaces_answer(name: str | None) -> JsonObject:
    """Every space, or the one of that name, with all choices of all knobs."""
    names = [name] if name else SPACES
    return {"spaces": [_space(each) for each in names]}


def _space(name: str) -> JsonObject:
    space = load_space(name)
    members = getattr(space, "members", (space,))
    families = {member.arch_type.space for member in members}
    published = [key for key, arch in REFERENCES.items() if arch.space in families]
    return {
        "name": name,
        "about": (type(space).__doc__ or "").strip().partition("\n\n")[0],
        "knobs": {knob: list(choices) for knob, choices in space.knobs().items()},
        "networks": published,
    }


def _place(run: Run) -> str:
    return run.url or str(run.path)
