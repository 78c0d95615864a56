"""Commands that train chosen networks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from nas.cli.commands.app import (
    command,
    console,
    going_on,
    run_folder,
    serially,
    settings,
    with_engine,
)
from nas.cli.program import program
from nas.cli.terminal import PlainConsole


@command("retrain selected.json --set epochs=3 --out runs/retrained")
@click.argument("source", metavar="[RUN|ARCH.json|REFERENCE]", required=False)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    help="Go on with the retraining in this folder.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder to write, or to go on with."
)
@click.option("--trial", type=int, help="Of a run [default: the best of its front].")
@click.option(
    "--recipe", help="fast, resnest, finetune, or a .yaml file [default: fast]."
)
@settings
@click.option(
    "--data",
    metavar="NAME",
    help="Images [default: the search's]; --set data.root=... and so on.",
)
@click.option(
    "--other-data", is_flag=True, help="Even if they are not those of the search."
)
@click.option("--init", metavar="official|PATH", help="Weights to start from.")
@click.option("--seeds", type=int, help="Trainings, for mean and spread [default: 1].")
@click.option(
    "--workers", type=int, help="Processes that share every batch [default: 1]."
)
@click.option("--device", help="auto, cpu or cuda [default: cpu].")
@serially
def retrain_command(
    source: str | None,
    resume: Path | None,
    out: Path | None,
    overrides: tuple[str, ...],
    serial: bool,
    **options: Any,
) -> None:
    """Train a chosen network in full and test it; the same command again goes on where it was interrupted."""
    import nas
    from nas.cli.retrain_view import View, retrained_table

    folder = resume or out
    if folder is None or (source is None) == (resume is None):
        raise ValueError("retrain: name a SOURCE and --out DIR, or --resume DIR")
    chosen = {
        name: value
        for name, value in options.items()
        if value is not None and value is not False
    }
    if resume and chosen:
        raise ValueError(
            f"--resume takes its settings from {resume}; leave out {', '.join(chosen)}"
        )
    view = View(PlainConsole(stderr=True))
    with going_on(f"{program()} retrain --resume {folder}"), view:
        found = nas.retrain(
            source,
            folder,
            on_epoch=view.epoch,
            note=view.note,
            progress=view.progress,
            overrides=with_engine(overrides, serial),
            **chosen,
        )
    console.print(retrained_table(found))
    console.print(
        f"export    {program()} export {folder} --out MODEL",
        soft_wrap=True,
    )


@command("proxy-study runs/first --networks 8 --set epochs=30")
@run_folder
@click.option("--networks", type=int, help="To retrain [default: 8].")
@click.option(
    "--recipe", help="fast, resnest, finetune, or a .yaml file [default: fast]."
)
@settings
@click.option("--seeds", type=int, help="Trainings of each network [default: 1].")
@click.option(
    "--workers", type=int, help="Processes that share every batch [default: 1]."
)
@click.option("--device", help="auto, cpu or cuda [default: cpu].")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder to write [default: DIR/proxy_study].",
)
@serially
def proxy_study_command(
    folder: Path,
    out: Path | None,
    overrides: tuple[str, ...],
    networks: int | None,
    serial: bool,
    **options: Any,
) -> None:
    """Tell how well the search's short trainings rank networks, by retraining a sample of them in full."""
    from nas.cli.retrain_view import View, agreement_table
    from nas.studies.proxy_study import proxy_study as study_proxy

    chosen = {name: value for name, value in options.items() if value is not None}
    overrides = with_engine(overrides, serial)
    overrides += () if networks is None else (f"networks={networks}",)
    view = View(PlainConsole(stderr=True))
    with going_on("the same command"), view:
        study = study_proxy(
            folder,
            out,
            overrides=overrides,
            on_epoch=view.epoch,
            note=view.note,
            **chosen,
        )
    console.print(agreement_table(study.agreement))
    console.print(study.verdict, soft_wrap=True)


@command("finalists runs/first --networks 8 --hours 2 --set epochs=60")
@run_folder
@click.option("--networks", type=int, help="Of the search [default: 8].")
@click.option(
    "--recipe", help="fast, resnest, or a .yaml file [default: fast, 30 epochs]."
)
@click.option("--seeds", type=int, help="Trainings of a network at most [default: 3].")
@click.option("--hours", type=float, help="End after so many.")
@settings
@serially
def finalists_command(
    folder: Path, overrides: tuple[str, ...], serial: bool, **options: Any
) -> int:
    """Train the best networks of a search in full, beside baselines; the same command again goes on."""
    from nas.cli.finalists_view import print_finals, run_finalists

    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    chosen = (*with_engine(overrides, serial), *given)
    return print_finals(run_finalists(folder, chosen, console), console)


@command("compare-spaces a.yaml b.yaml --limit macs=4e6 --trials 50 --out runs/a-b")
@click.argument("first", metavar="A.yaml")
@click.argument("second", metavar="B.yaml")
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="METRIC=MOST|LEAST..MOST",
    help="Repeatable.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=2),
    help="Networks per space [default: the files' own].",
)
@settings
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder; the same goes on.",
)
@serially
def compare_spaces_command(
    first: str,
    second: str,
    overrides: tuple[str, ...],
    out: Path,
    serial: bool,
    **options: Any,
) -> None:
    """Sample, train and compare two populations of networks at the same budget. Interrupted, it goes on."""
    from nas.cli.search_view import watched
    from nas.cli.tables import print_comparison
    from nas.studies.space_comparison import compare_spaces as compare

    chosen = with_engine(overrides, serial)
    with going_on("the same command"):
        comparison = compare(
            (first, second),
            out,
            overrides=chosen,
            watch=partial(watched, console=console),
            **options,
        )
    print_comparison(comparison, out, console)
