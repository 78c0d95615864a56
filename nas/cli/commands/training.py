"""Commands that train chosen networks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from nas.cli.commands.app import (
    command,
    console,
    existing_file,
    going_on,
    run_folder,
    serially,
    settings,
    with_engine,
)
from nas.cli.program import as_typed
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
    from nas.cli.views.retrain import View, retrained_table
    from nas.cli.waiting import told_of_waits

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
    terminal = PlainConsole(stderr=True)
    view, waits = View(terminal), told_of_waits(terminal)
    with going_on(as_typed("retrain", "--resume", folder)), view, waits:
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
        f"export    {as_typed('export', folder, '--out', 'MODEL')}",
        soft_wrap=True,
    )


@command("proxy-study cifar10-small --networks 20 --out runs/proxies")
@click.argument("source", metavar="RUN|PRESET|FILE.yaml")
@click.option("--networks", type=int, help="To train [default: 8; before a search 20].")
@click.option(
    "--candidates",
    type=existing_file,
    metavar="FILE.yaml",
    help="Trainings to choose among, by name [default: the configured one and others as long].",
)
@click.option(
    "--times",
    type=click.IntRange(min=2),
    help="How much longer the training is that they are judged by [default: 5].",
)
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
    help="Folder to write; the same goes on [default: RUN/proxy_study].",
)
@serially
def proxy_study_command(
    source: str,
    out: Path | None,
    overrides: tuple[str, ...],
    serial: bool,
    **options: object,
) -> None:
    """Tell how well short trainings rank networks: those of a run, or, before a search, several candidates.

    Of a run, a sample of its networks is retrained in full. Of a PRESET or FILE.yaml, candidates that cost as much
    as the configured training rank random networks, twice, and are held against a longer one; the best is
    recommended. Of --recipe, --seeds, --workers, --device only a run knows, of --candidates and --times a search.
    """
    chosen = {name: value for name, value in options.items() if value is not None}
    overrides = with_engine(overrides, serial)
    if Path(source).is_dir():
        _refuse(chosen, ("candidates", "times"), f"{source} is a run")
        _study_run(source, out, overrides, chosen)
    else:
        ours = ("recipe", "seeds", "workers", "device")
        _refuse(chosen, ours, f"{source} is no run, and nothing is retrained")
        _compare_proxies(source, out, overrides, chosen)


def _refuse(chosen: dict[str, object], names: tuple[str, ...], why: str) -> None:
    for name in names:
        if name in chosen:
            raise ValueError(f"--{name}: {why}; leave it out")


def _study_run(
    source: str, out: Path | None, overrides: tuple[str, ...], chosen: dict[str, object]
) -> None:
    from nas.cli.views.retrain import View, agreement_table
    from nas.studies.proxy_study import proxy_study as study_proxy

    networks = chosen.pop("networks", None)
    # one way for all settings: an option is short for --set
    overrides += () if networks is None else (f"networks={networks}",)
    view = View(PlainConsole(stderr=True))
    with going_on("the same command"), view:
        study = study_proxy(
            source,
            out,
            overrides=overrides,
            on_epoch=view.epoch,
            note=view.note,
            **chosen,
        )
    console.print(agreement_table(study.agreement))
    console.print(study.verdict, soft_wrap=True)


def _compare_proxies(
    source: str, out: Path | None, overrides: tuple[str, ...], chosen: dict[str, Any]
) -> None:
    from nas.cli.views.retrain import proxies_table
    from nas.cli.views.search import watched
    from nas.studies.proxy_comparison import compare_proxies

    if out is None:
        raise ValueError(
            "--out: a folder is needed for the trainings, e.g. runs/proxies"
        )
    with going_on("the same command"):
        found = compare_proxies(
            source,
            out,
            overrides=overrides,
            note=PlainConsole(stderr=True).print,
            watch=partial(watched, console=console),
            **chosen,
        )
    console.print(proxies_table(found.table))
    console.print(found.verdict, soft_wrap=True)
    console.print(f"its settings: {out / 'recommended.yaml'}", soft_wrap=True)


@command("finalists runs/first --networks 8 --hours 2 --set epochs=60")
@run_folder
@click.option("--networks", type=int, help="Of the search [default: 8].")
@click.option(
    "--recipe",
    help="fast, resnest, finetune, or a .yaml file [default: fast, 30 epochs].",
)
@click.option("--seeds", type=int, help="Trainings of a network at most [default: 3].")
@click.option("--hours", type=float, help="End after so many.")
@settings
@serially
def finalists_command(
    folder: Path, overrides: tuple[str, ...], serial: bool, **options: object
) -> int:
    """Train the best networks of a search in full, beside baselines; the same command again goes on."""
    from nas.cli.views.finalists import print_finals, run_finalists

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
    from nas.cli.tables import print_comparison
    from nas.cli.views.search import watched
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
