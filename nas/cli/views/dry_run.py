"""What a dry run found, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from nas.cli.progress import shown_if_slow
from nas.cli.terminal import PlainConsole
from nas.config.schema import SearchConfig
from nas.studies.dry_run import Tried, dry_run
from nas.studies.finalists_cost import FinalistsCost


def print_dry_run(config: SearchConfig, out: Path, console: Console) -> None:
    """Try the search that would go to ``out``: the range of networks, what it would take, what is odd."""
    with shown_if_slow(PlainConsole(stderr=True)) as progress:
        found = dry_run(config, out, progress)
    low, high = found.hours
    lines = [
        f"smallest  {_network(found.smallest)}",
        f"largest   {_network(found.largest)}",
        f"networks  {found.networks}, {found.at_once} at once on this machine",
        f"time      {_duration(low)} to {_duration(high)}, early stopping not counted",
        *_finalists(found.finalists),
        f"disk      at most {found.disk_mb:,.0f} MB",
        *(f"odd       {each}" for each in found.odd),
        "nothing was written but decoded images in the cache; leave out --dry-run to search",
    ]
    for line in lines:
        console.print(line, soft_wrap=True)


def _finalists(cost: FinalistsCost | None) -> Iterator[str]:
    if cost is None:
        return
    low, high = cost.hours
    yield (
        f"finalists {cost.networks} and up to {cost.baselines} baselines in full: {_duration(low)} to "
        f"{_duration(high)} more, the longest if every order takes all seeds to tell"
    )


def _network(tried: Tried) -> str:
    return (
        f"{tried.arch.id} {tried.cost.macs / 1e6:,.2f} M MACs, {tried.cost.params / 1e6:,.2f} M parameters, "
        f"a batch in {1000 * tried.batch_seconds:,.0f} ms, {tried.memory_mb:,.0f} MB of memory"
    )


def _duration(hours: float) -> str:
    return f"{60 * hours:.1f} min" if hours < 1 else f"{hours:.1f} h"
