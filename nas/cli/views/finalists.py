"""The finalists on the terminal: in words first, then proxy and full side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from nas.cli.fitting import FittingTable
from nas.cli.program import as_typed
from nas.cli.progress import shown_if_slow
from nas.cli.terminal import PlainConsole
from nas.cli.views.search import SearchView
from nas.config.finalists import SelectConfig
from nas.config.pairs import key_of
from nas.config.schema import SearchConfig
from nas.finalists.deliver import deliver
from nas.finalists.finalists import train_finalists
from nas.finalists.lineup import Role
from nas.finalists.outcome import Finals
from nas.finalists.plan import RUNNING, Work, plan_finalists
from results.log.salvage import usable_events
from results.runs.finalists_table import finalists_table
from results.wording import counted


def run_finalists(source: Path, overrides: Sequence[str], console: Console) -> Finals:
    """Train the finalists of a run under the live view."""
    with shown_if_slow(PlainConsole(stderr=True)) as progress:
        work = plan_finalists(source, overrides, progress)
    with SearchView(work.config, console) as view:
        view.opening = "starting workers"
        view.recall(usable_events(work.folder / "events.db"))
        view.note(f"training in full: {_entered(work)}")
        return train_finalists(work, [view], view.note)


def _entered(work: Work) -> str:
    """Who takes part, in words."""
    roles = {each.arch.id: each.role for each in work.entrants}
    ours = sum(role == Role.FINALIST for role in roles.values())
    baselines = counted(len(roles) - ours, "baseline")
    return f"{counted(ours, 'network')} of the search and {baselines}"


def print_finals(finals: Finals, console: Console) -> int:
    """The verdict, the table, and where the rest is. Returns the exit code."""
    console.print(" ".join(finals.verdict))
    console.print(finals_table(finals.networks, finals.run.objectives))
    run = finals.folder.parent
    lines = [
        f"open      {run / 'report.html'}",
        f"curves    {finals.folder / 'report.html'}",
        f"tables    {finals.folder / 'finalists.csv'}, finalists.json",
        f"models    {finals.folder / 'networks'}",
    ]
    done = finals.networks["status"] == "complete"
    if finals.run.ended == "interrupted":
        lines.append(f"go on     {as_typed('finalists', run)}")
    elif (finals.run.trials["status"] == "running").any():
        # the hours are over
        lines.append(f"go on     {as_typed('finalists', run)} --set hours=…")
    if done.any():
        lines.append(f"pick      {as_typed('select', run)}")
    for line in lines:
        console.print(line, soft_wrap=True)
    if finals.run.ended == "interrupted":
        return 130
    return 0 if done.any() else 1


def deliver_model(folder: Path, config: SearchConfig, console: Console) -> None:
    """Write the model folder of the network that the settings choose, and say why that one."""
    with shown_if_slow(PlainConsole(stderr=True)) as progress:
        choice = config.select or SelectConfig()
        out, selection = deliver(folder, choice, config.export, progress)
    lines = (
        f"chosen    {selection.row['network']}: {selection.why}",
        f"model     {out}",
        f"try       {as_typed('predict', out, 'IMAGE')}",
    )
    for line in lines:
        console.print(line, soft_wrap=True)


def finish_search(
    folder: Path, config: SearchConfig, overrides: Sequence[str], console: Console
) -> int:
    """What the settings want after the search: finalists, and of them a model folder. Returns the exit code."""
    if config.finalists is None:
        return 0
    # trials=80 was for the search; how it runs holds for the finalists too
    running = [each for each in overrides if key_of(each) in RUNNING]
    code = print_finals(run_finalists(folder, running, console), console)
    if code == 0 and config.select is not None:
        deliver_model(folder, config, console)
    return code


def finals_table(networks: pd.DataFrame, objectives: dict[str, str]) -> Table:
    """A row per network; accuracies by the search's short training and by the full one."""
    table = FittingTable(title="Trained in full", title_justify="left", box=SIMPLE)
    (first, *others), rows = finalists_table(networks, objectives)
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    return table
