"""Two search spaces against each other: random networks of each, at the same cost, trained alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from evaluators.data.progress import Progress, silent
from nas.config.loading import load_config
from nas.config.pairs import read_limit
from nas.config.schema import SearchConfig
from nas.driver import resume, search
from nas.listeners import Listener
from results import Comparison, Run, compare, load_run, write_atomic, write_table
from results.strict_json import dumps

Watching = tuple[Sequence[Listener], Progress]
Watch = Callable[[SearchConfig, Path | None], AbstractContextManager[Watching]]
"""Opens a view of a search, told of the run folder if it goes on."""


def unwatched(
    config: SearchConfig, folder: Path | None
) -> AbstractContextManager[Watching]:
    return nullcontext(((), silent))


ALIKE = ("data", "training", "device", "latency", "limits")
"""Settings in which two populations must agree for their networks to compare."""


def compare_spaces(
    sources: tuple[str, str],
    out: str | Path,
    *,
    limits: Sequence[str] = (),
    trials: int | None = None,
    overrides: Sequence[str] = (),
    watch: Watch = unwatched,
) -> Comparison:
    """Draw ``trials`` random networks of each configuration within ``limits``, train them, compare accuracies.

    The populations are ordinary runs in ``out/A`` and ``out/B``; called again, finished networks count and
    the rest goes on. ``limits`` are ``"macs=4e8"`` (at most) or ``"macs=3.8e8..4.2e8"``. ``watch`` opens a view
    of each search. Leaves ``comparison.json`` and ``edf.csv`` in ``out``.

    Raises:
        ValueError: for configurations that would not compare, or an ``out`` that holds other populations.
    """
    # random and unstopped: a population says nothing of its space once somebody has chosen
    settings = [
        *overrides,
        "sampler=random",
        "stopper=none",
        "size_gain=0",
        *map(_override, limits),
    ]
    settings += [] if trials is None else [f"trials={trials}"]
    first, second = (load_config(source, settings) for source in sources)
    _check_alike(first, second)
    out = Path(out)
    runs = [
        population(config, out / name, watch)
        for config, name in ((first, "A"), (second, "B"))
    ]
    names = [Path(source).stem for source in sources]
    names = ["A", "B"] if names[0] == names[1] else names
    comparison = compare(
        {name: run.complete for name, run in zip(names, runs, strict=True)},
        budget=next(iter(first.limits), "macs"),
    )
    _write(comparison, out)
    return comparison


def _override(limit: str) -> str:
    """``macs=3e8..4e8`` as the setting ``limits.macs=[3e8, 4e8]``."""
    name, value = read_limit(limit)
    return f"limits.{name}={value}"


def _check_alike(first: SearchConfig, second: SearchConfig) -> None:
    a = first.model_dump(mode="json")
    b = second.model_dump(mode="json")
    for key in ALIKE:
        if a[key] != b[key]:
            raise ValueError(
                f"{key} differs, so the networks would not compare: {a[key]} and {b[key]}"
            )


def population(config: SearchConfig, folder: Path, watch: Watch) -> Run:
    """The run in ``folder``, to its end: begun, gone on with, or as it was."""
    if not (folder / "events.db").exists():
        with watch(config, None) as (listeners, progress):
            run = search(config, folder, listeners, progress)
    elif _lasting(load_config(str(folder / "config.yaml"))) != _lasting(config):
        raise ValueError(
            f"{folder}: holds a population of other settings; name a new folder with --out"
        )
    elif not _over(run := load_run(folder)):
        with watch(config, folder) as (listeners, progress):
            run = resume(folder, [f"engine={config.engine}"], listeners, progress)
    if not _over(run):
        # a population that is not whole must not be compared
        raise KeyboardInterrupt
    return run


def _lasting(config: SearchConfig) -> dict[str, object]:
    """The settings that decide what the numbers mean, and how many there are."""
    return config.model_dump(exclude={"engine", "ray", "resources"})


def _over(run: Run) -> bool:
    return run.ended not in (None, "interrupted")


def _write(comparison: Comparison, out: Path) -> None:
    tables: Mapping[str, object] = {
        name: getattr(comparison, name).to_dict("records")
        for name in ("summary", "tests", "effect")
    }
    write_atomic(
        out / "comparison.json",
        dumps({"verdict": comparison.verdict, **tables}, indent=2) + "\n",
    )
    write_table(comparison.edf, out / "edf.csv")
