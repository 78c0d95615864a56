"""Commands that search: begin, go on, look on, estimate."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from nas.cli.commands.app import (
    as_json,
    command,
    console,
    going_on,
    new_file,
    run_folder,
    serially,
    settings,
    with_default,
    with_engine,
)
from nas.cli.program import as_typed


def _presets_and_files(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """What a shell offers; read from the folder, since loading settings takes a second."""
    presets = (files("nas.config") / "presets").iterdir()
    names = sorted(each.name.removesuffix(".yaml") for each in presets)
    found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return [*found, CompletionItem(incomplete, type="file")]


@command("search quick --set trials=16 --out runs/first")
@click.argument(
    "preset",
    default="quick",
    metavar="[PRESET|FILE.yaml]",
    shell_complete=_presets_and_files,
)
@settings
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="New run folder [default: runs/NAME-TIME].",
)
@serially
@click.option(
    "--dry-run",
    is_flag=True,
    help="Try every part once, say what it will cost, write nothing.",
)
def search_command(
    preset: str,
    overrides: tuple[str, ...],
    out: Path | None,
    serial: bool,
    dry_run: bool,
) -> int:
    """Search for a Pareto front of networks and leave it in a run folder; with ``finalists``, train the best.

    Without a name the preset is quick: handwritten digits, some minutes.
    """
    import nas
    from nas.cli.tables import print_outcome
    from nas.cli.views.dry_run import print_dry_run
    from nas.cli.views.finalists import finish_search
    from nas.cli.views.search import watched
    from nas.cli.waiting import told_of_waits
    from nas.finalists.in_full import check_finalists

    config = nas.load_config(preset, with_engine(overrides, serial))
    out = out or Path("runs") / f"{Path(preset).stem}-{datetime.now():%Y%m%d-%H%M%S}"
    check_finalists(config)
    if dry_run:
        with told_of_waits(console):
            print_dry_run(config, out, console)
        return 0
    with (
        going_on(as_typed("resume", out), out / "events.db"),
        watched(config, None, console) as (listeners, progress),
    ):
        run = nas.search(config, out, listeners, progress)
    code = print_outcome(run, console, finalists_next=config.finalists is not None)
    return code or finish_search(out, config, overrides, console)


@command("resume runs/first --set trials=80")
@run_folder
@settings
@serially
def resume_command(folder: Path, overrides: tuple[str, ...], serial: bool) -> int:
    """Go on with a search that was interrupted, killed, or is to get more trials or time."""
    import nas
    from nas.cli.tables import print_outcome
    from nas.cli.views.finalists import finish_search
    from nas.cli.views.search import watched
    from nas.driver import NothingLeftError
    from nas.finalists.in_full import check_finalists
    from nas.finalists.plan import only_finalists_left

    overrides = with_engine(overrides, serial)
    config = nas.load_config(str(folder / "config.yaml"), overrides)
    if only_finalists_left(folder, config, overrides):
        return finish_search(folder, config, overrides, console)
    check_finalists(config)
    try:
        with (
            going_on(as_typed("resume", folder)),
            watched(config, folder, console) as (listeners, progress),
        ):
            run = nas.resume(folder, overrides, listeners, progress)
    except NothingLeftError as end:
        console.print(str(end), soft_wrap=True)  # a job that is submitted once more
        return 0
    code = print_outcome(run, console, finalists_next=config.finalists is not None)
    return code or finish_search(folder, config, overrides, console)


@command("slurm mine.yaml --nodes 4 --gpus 8 --time 24:00:00 > job.sh; sbatch job.sh")
@click.argument("preset", metavar="PRESET|FILE.yaml", shell_complete=_presets_and_files)
@settings
@click.option("--nodes", type=click.IntRange(1), default=1, show_default=True)
@click.option("--gpus", type=click.IntRange(0), default=0, show_default=True, help="Of each node.")  # fmt: skip
@click.option("--time", default="24:00:00", show_default=True, help="As sbatch takes it.")  # fmt: skip
@click.option("--sbatch", "options", multiple=True, metavar="OPTION",
              help="A further option of sbatch, e.g. --account=mine; repeatable.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path),
              help="Run folder, on a file system all nodes share [default: runs/NAME].")  # fmt: skip
def slurm(
    preset: str,
    overrides: tuple[str, ...],
    nodes: int,
    gpus: int,
    time: str,
    options: tuple[str, ...],
    out: Path | None,
) -> None:
    """Print the job script that runs a search on a Slurm cluster and goes on until it is over."""
    import nas
    from nas.cli.slurm import SlurmJob, job_script

    config = nas.load_config(preset, overrides)
    run = out or Path("runs") / Path(preset).stem
    job = SlurmJob(nodes, gpus, time, options)
    click.echo(job_script(config, preset, overrides, run, job), nl=False)


@command("status runs/first")
@run_folder
@click.option("--watch", is_flag=True, help="Renew it until the search ends.")
@as_json
def status(folder: Path, watch: bool, as_json: bool) -> None:
    """Say how a search is doing, from any terminal that sees its folder."""
    from nas.cli.as_json import print_json, status_answer
    from nas.cli.views.status import follow, print_status
    from results.runs.status import read_status

    if watch and as_json:
        raise click.UsageError("--json is asked for once, not with --watch")
    if as_json:
        print_json(status_answer(read_status(folder)))
    else:
        (follow if watch else print_status)(folder, console)


@command("report runs/first --out front.html")
@run_folder
@click.option(
    "--out", type=new_file, help="HTML file to write [default: DIR/report.html]."
)
@click.option(
    "--against",
    metavar="imagenet",
    help="Show public models behind a run of the same task.",
)
@click.option(
    "--watch",
    is_flag=True,
    help="Serve it to this machine, up to date while the search runs.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Of --watch [default: a free one]."
)
def report(
    folder: Path, out: Path | None, against: str | None, watch: bool, port: int | None
) -> None:
    """Write a run's report: one HTML file that opens anywhere."""
    from nas.cli.report_server import watch as serve
    from nas.runs.stages import write_run_report

    def announce(address: str) -> None:
        click.echo(f"{address} (Ctrl-C ends it)")

    if watch and out:
        raise click.UsageError(
            "--watch serves the report and writes no file: leave out --out"
        )
    if port is not None and not watch:
        raise click.UsageError("--port is for --watch")
    if watch:
        serve(folder, port or 0, against, announce)
    else:
        console.print(f"{write_run_report(folder, out, against)}", soft_wrap=True)


@command(
    "simulate --surrogate resnest --workers 64 --hours 24 --stopper none --stopper moasha"
)
@click.argument(
    "folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path)
)
@click.option(
    "--surrogate",
    metavar="SPACE",
    help="Made-up curves on real costs of a space, instead of a run.",
)
@click.option("--sampler", metavar="NAME[,OPTION=VALUE]",
              help="Search the run's space, curves guessed from its networks [default: replay them].")  # fmt: skip
@click.option("--stopper", "stoppers", multiple=True, metavar="NAME[,OPTION=VALUE]",
              help="Repeatable; others are compared with the first [default: none and moasha].")  # fmt: skip
@click.option(
    "--hours",
    type=float,
    help="Of virtual time [default: 24; with --sampler the run's trials].",
)
@click.option("--trials", type=int, help="End after so many trials.")
@click.option("--total-epochs", type=int, help="End after so many epochs.")
@with_default("--workers", default=64, help="Trials at once.")
@with_default("--epochs", default=9, help="Of a surrogate's trial.")
@with_default("--epoch-seconds", default=60.0, help="Of a surrogate's median network.")
@with_default("--start-seconds", default=0.0, help="Lost before each trial.")
@with_default("--latency-seconds", default=0.0, help="Of a trial on a latency device.")
@with_default("--latency-devices", default=1)
@with_default("--stragglers", default=0.0, help="Share of trials that train slower.")
@with_default("--slowdown", default=3.0, help="By which stragglers train slower.")
@with_default("--failures", default=0.0, help="Chance that an epoch ends its trial.")
@with_default("--preemptions", default=0.0, help="Per worker and hour.")
@with_default(
    "--outage-seconds", default=300.0, help="For which a preempted worker is gone."
)
@with_default("--seed", default=0)
@click.option(
    "--out", type=new_file, help="Also write curves over time to this .html file."
)
def simulate_command(
    folder: Path | None,
    surrogate: str | None,
    stoppers: tuple[str, ...],
    out: Path | None,
    **options: object,
) -> None:
    """Tell what a cluster would come to in so many hours, with and without early stopping."""
    from nas.cli.views.simulate import print_what_if

    print_what_if(folder, surrogate, stoppers, console, out, options)
