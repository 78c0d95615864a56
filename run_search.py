"""The command line of SplitSearch: one short function per command, no logic."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console

# a pipe has no width of its own
console = Console(width=None if sys.stdout.isatty() else 120)


class CommandLine(click.Group):
    """Bad input gets one line on stderr and exit code 2; Ctrl-C gives 130."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        try:
            code = super().main(*arguments, **options | {"standalone_mode": False})
        except click.ClickException as error:
            code = _complain(error.format_message())
        except OSError as error:
            code = _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except (ValueError, ImportError, FloatingPointError) as error:
            code = _complain(str(error))
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted before anything was finished", err=True)
            code = 130
        sys.exit(code)


def _complain(message: str) -> int:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return 2


def _print_version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from nas.cli.version import version_line

        click.echo(version_line())
        context.exit()


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version,
    help="Version, commit and what it stands on.",
)  # fmt: skip
def main() -> None:
    """Neural architecture search over the split-attention design space."""
    warnings.formatwarning = lambda message, *_, **__: f"warning: {' '.join(str(message).split())}\n"
    sys.path.append(str(Path.cwd()))  # where the user's own module:Name may lie


def command(example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command whose help ends with an example; the function's result is the exit code."""
    return main.command(epilog=f"Example: python run_search.py {example}")


def with_engine(overrides: tuple[str, ...], serial: bool) -> tuple[str, ...]:
    return (*overrides, "engine=serial") if serial else overrides


new_file = click.Path(path_type=Path, dir_okay=False)
settings = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting; repeatable."
)
serially = click.option(
    "--serial", is_flag=True, help="Short for --set engine=serial: in this process, without Ray."
)
existing_file = click.Path(path_type=Path, dir_okay=False, exists=True)
run_folder = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
run_place = click.argument("folder", metavar="DIR|URL")


@command("search quick --set trials=16 --out runs/first")
@click.argument("preset", default="quick", metavar="[PRESET|FILE.yaml]")
@settings
@click.option("--out", type=click.Path(path_type=Path), help="New run folder [default: runs/NAME-TIME].")
@serially
def search(preset: str, overrides: tuple[str, ...], out: Path | None, serial: bool) -> int:
    """Search for a Pareto front of networks and leave it in a run folder."""
    import nas
    from nas.cli.search_view import SearchView
    from nas.cli.tables import print_outcome

    config = nas.load_config(preset, with_engine(overrides, serial))
    out = out or Path("runs") / f"{Path(preset).stem}-{datetime.now():%Y%m%d-%H%M%S}"
    with SearchView(config, console) as view:
        run = nas.search(config, out, [view], view.data)
    return print_outcome(run, console)


@command("resume runs/first --set trials=80")
@run_folder
@settings
@serially
def resume(folder: Path, overrides: tuple[str, ...], serial: bool) -> int:
    """Go on with a search that was interrupted, killed, or is to get more trials or time."""
    import nas
    from nas.cli.search_view import SearchView
    from nas.cli.tables import print_outcome
    from results.log.salvage import usable_events

    overrides = with_engine(overrides, serial)
    with SearchView(nas.load_config(str(folder / "config.yaml"), overrides), console) as view:
        view.recall(usable_events(folder / "events.db"))
        run = nas.resume(folder, overrides, [view], view.data)
    return print_outcome(run, console)


@command("front runs/first --objective accuracy=max --objective params=min")
@run_place
@click.option(
    "--objective", "objectives", multiple=True, metavar="METRIC=max|min",
    help="Repeatable [default: the search's own].",
)  # fmt: skip
@click.option("--retrained", is_flag=True, help="Of retrained networks, by their validation accuracy then.")
@click.option("--out", type=new_file, help="Also write the front to this .csv file.")
def front(folder: str, objectives: tuple[str, ...], retrained: bool, out: Path | None) -> None:
    """Print the Pareto front of a run, finished or not."""
    from nas.cli.tables import front_table, parse_objectives
    from results import load_run, write_atomic

    run = load_run(folder)
    run = run.full_fidelity() if retrained else run
    chosen = parse_objectives(objectives) or run.objectives
    found = run.front(chosen)
    console.print(front_table(found, chosen, console.width))
    if run.complete.empty:
        console.print(f"none of the {len(run.trials)} trials has been trained to its end")
    if out:
        write_atomic(out, found.to_csv(index=False))


@command("select runs/first --maximize accuracy --under latency_ms=5 --out selected.json")
@run_place
@click.option(
    "--maximize", metavar="METRIC", help="The most of this [default: the search's first objective]."
)
@click.option("--minimize", metavar="METRIC", help="The least of this.")
@click.option("--under", multiple=True, metavar="METRIC=VALUE", help="At most; repeatable.")
@click.option("--over", multiple=True, metavar="METRIC=VALUE", help="At least; repeatable.")
@click.option("--knee", is_flag=True, help="The front's best compromise.")
@click.option("--near", multiple=True, metavar="METRIC=VALUE", help="The nearest to this; repeatable.")
@click.option("--buckets", metavar="METRIC=A,B,…", help="The best up to A, from there up to B, ….")
@click.option("--diverse", type=click.IntRange(min=1), metavar="N", help="The N most different of the front.")
@click.option(
    "--out", type=new_file, help="Also write the pick as .json, which retrain takes; several are numbered."
)
def select(folder: str, out: Path | None, **choice: Any) -> None:
    """Pick the final network of a run, and say why that one."""
    from nas.cli.tables import front_table
    from nas.runs.selection import read_choice, write_selection
    from results import load_run

    run = load_run(folder)
    selection = run.select(**read_choice(choice))
    console.print(selection.why, markup=False, highlight=False)
    console.print(front_table(selection.rows, run.objectives, console.width, "Selected"))
    for path in write_selection(selection, run, out) if out else ():
        console.print(f"{path}", markup=False, highlight=False, soft_wrap=True)


@command("compare-spaces a.yaml b.yaml --limit macs=4e6 --trials 50 --out runs/a-b")
@click.argument("first", metavar="A.yaml")
@click.argument("second", metavar="B.yaml")
@click.option("--limit", "limits", multiple=True, metavar="METRIC=MOST|LEAST..MOST", help="Repeatable.")
@click.option("--trials", type=click.IntRange(min=2), help="Networks per space [default: the files' own].")
@settings
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder; the same goes on.")
@serially
def compare_spaces(
    first: str, second: str, overrides: tuple[str, ...], out: Path, serial: bool, **options: Any
) -> None:
    """Sample, train and compare two populations of networks at the same budget. Interrupted, it goes on."""
    from nas.cli.tables import print_comparison
    from nas.studies.space_comparison import compare_spaces as compare

    chosen = with_engine(overrides, serial)
    print_comparison(compare((first, second), out, overrides=chosen, **options), out, console)


@command("status runs/first")
@run_folder
@click.option("--watch", is_flag=True, help="Renew it until the search ends.")
def status(folder: Path, watch: bool) -> None:
    """Say how a search is doing, from any terminal that sees its folder."""
    from nas.cli.status_view import follow, print_status

    (follow if watch else print_status)(folder, console)


@command("report runs/first --out front.html")
@run_folder
@click.option("--out", type=new_file, help="HTML file to write [default: DIR/report.html].")
@click.option("--against", metavar="imagenet", help="Show public models behind a run of the same task.")
@click.option("--watch", is_flag=True, help="Serve it to this machine, up to date while the search runs.")
@click.option("--port", type=click.IntRange(0, 65535), help="Of --watch [default: a free one].")
def report(folder: Path, out: Path | None, against: str | None, watch: bool, port: int | None) -> None:
    """Write a run's report: one HTML file that opens anywhere."""
    from nas.cli.report_server import watch as serve
    from nas.runs.stages import write_run_report

    def announce(address: str) -> None:
        click.echo(f"{address} (Ctrl-C ends it)")

    if watch and out:
        raise click.UsageError("--watch serves the report and writes no file: leave out --out")
    if port is not None and not watch:
        raise click.UsageError("--port is for --watch")
    if watch:
        serve(folder, port or 0, against, announce)
    else:
        console.print(f"{write_run_report(folder, out, against)}", markup=False, soft_wrap=True)


@command("spaces resnest")
@click.argument("name", required=False)
def spaces(name: str | None) -> None:
    """List the search spaces and published networks, or one space's knobs."""
    from nas.cli.tables import knobs_table, spaces_table

    console.print(knobs_table(name) if name else spaces_table())


@command("measure resnest50_fast_2s1x64d --resolution 160 --batch-size 8")
@click.argument("network", metavar="REFERENCE|ARCH.json")
@click.option("--classes", default=1000, show_default=True)
@click.option("--resolution", default=224, show_default=True, help="Side of the image in pixels.")
@click.option("--channels", default=3, show_default=True)
@click.option("--small-images", is_flag=True, help="Keep the stem from downsampling.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--batch-size", default=1, show_default=True)
@click.option("--dtype", default="float32", show_default=True)
@click.option("--threads", type=int, help="CPU threads [default: torch's].")
@click.option("--channels-last", is_flag=True)
@click.option("--fold", is_flag=True, help="Fold the batch norms away first.")
@click.option("--compile", is_flag=True, help="Measure what torch.compile makes of it.")
@click.option("--cuda-graph", is_flag=True, help="Launch all kernels at once.")
@click.option("--interval", default=0.01, show_default=True, help="Certainty of the median to reach.")
@click.option("--max-seconds", default=1.0, show_default=True, help="For warming up, and for repeating.")
@click.option("--max-load", default=0.1, show_default=True, help="Refuse if others use more of the CPU.")
@click.option("--keep-disturbed", is_flag=True, help="If refused three times, take the lowest median.")
@click.option("--out", type=new_file, help="Also write the numbers to this .json file.")
def measure(network: str, out: Path | None, **options: Any) -> None:
    """Measure a network's exact cost, fvcore's count of it, and its latency on this machine."""
    from nas.cli.measure import measure_network
    from nas.cli.tables import measurement_table
    from results import write_atomic
    from results.strict_json import dumps

    with console.status("measuring"):
        measured = measure_network(network, **options)
    console.print(measurement_table(network, measured))
    if out:
        write_atomic(out, dumps(measured, indent=2) + "\n")


@command("simulate --surrogate resnest --workers 64 --hours 24 --stopper none --stopper moasha")
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path))
@click.option(
    "--surrogate", metavar="SPACE", help="Made-up curves on real costs of a space, instead of a run."
)
@click.option("--sampler", metavar="NAME[,OPTION=VALUE]",
              help="Search the run's space, curves guessed from its networks [default: replay them].")  # fmt: skip
@click.option("--stopper", "stoppers", multiple=True, metavar="NAME[,OPTION=VALUE]",
              help="Repeatable; others are compared with the first [default: none and moasha].")  # fmt: skip
@click.option("--hours", type=float, help="Of virtual time [default: 24; with --sampler the run's trials].")
@click.option("--trials", type=int, help="End after so many trials.")
@click.option("--total-epochs", type=int, help="End after so many epochs.")
@click.option("--workers", default=64, show_default=True, help="Trials at once.")
@click.option("--epochs", default=9, show_default=True, help="Of a surrogate's trial.")
@click.option("--epoch-seconds", default=60.0, show_default=True, help="Of a surrogate's median network.")
@click.option("--start-seconds", default=0.0, show_default=True, help="Lost before each trial.")
@click.option("--latency-seconds", default=0.0, show_default=True, help="Of a trial on a latency device.")
@click.option("--latency-devices", default=1, show_default=True)
@click.option("--stragglers", default=0.0, show_default=True, help="Share of trials that train slower.")
@click.option("--slowdown", default=3.0, show_default=True, help="By which stragglers train slower.")
@click.option("--failures", default=0.0, show_default=True, help="Chance that an epoch ends its trial.")
@click.option("--preemptions", default=0.0, show_default=True, help="Per worker and hour.")
@click.option(
    "--outage-seconds", default=300.0, show_default=True, help="For which a preempted worker is gone."
)
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=new_file, help="Also write curves over time to this .html file.")
def simulate(
    folder: Path | None, surrogate: str | None, stoppers: tuple[str, ...], out: Path | None, **options: Any
) -> None:
    """Tell what a cluster would come to in so many hours, with and without early stopping."""
    from nas.cli.simulate_view import print_what_if

    print_what_if(folder, surrogate, stoppers, console, out, options)


@command("retrain selected.json --set epochs=3 --out runs/retrained")
@click.argument("source", metavar="[RUN|ARCH.json|REFERENCE]", required=False)
@click.option("--resume", type=click.Path(path_type=Path), help="Go on with the retraining in this folder.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write, or to go on with.")
@click.option("--trial", type=int, help="Of a run [default: the best of its front].")
@click.option("--recipe", help="fast, resnest, finetune, or a .yaml file [default: fast].")
@settings
@click.option("--data", metavar="NAME", help="Images [default: the search's]; --set data.root=... and so on.")
@click.option("--other-data", is_flag=True, help="Even if they are not those of the search.")
@click.option("--init", metavar="official|PATH", help="Weights to start from.")
@click.option("--seeds", type=int, help="Trainings, for mean and spread [default: 1].")
@click.option("--workers", type=int, help="Processes that share every batch [default: 1].")
@click.option("--device", help="auto, cpu or cuda [default: cpu].")
@serially
def retrain(
    source: str | None,
    resume: Path | None,
    out: Path | None,
    overrides: tuple[str, ...],
    serial: bool,
    **options: Any,
) -> int:
    """Train a chosen network in full and test it; the same command again goes on where it was interrupted."""
    import nas
    from nas.cli.retrain_view import View, retrained_table

    folder = resume or out
    if folder is None or (source is None) == (resume is None):
        raise ValueError("retrain: name a SOURCE and --out DIR, or --resume DIR")
    chosen = {name: value for name, value in options.items() if value is not None and value is not False}
    if resume and chosen:
        raise ValueError(f"--resume takes its settings from {resume}; leave out {', '.join(chosen)}")
    view = View(Console(stderr=True))
    try:
        with view:
            found = nas.retrain(
                source,
                folder,
                on_epoch=view.epoch,
                note=view.note,
                progress=view.progress,
                overrides=with_engine(overrides, serial),
                **chosen,
            )
    except KeyboardInterrupt:
        view.note(f"interrupted; go on with: python run_search.py retrain --resume {folder}")
        return 130
    console.print(retrained_table(found))
    console.print(f"export    python run_search.py export {folder} --out MODEL", markup=False, soft_wrap=True)
    return 0


@command("proxy-study runs/first --networks 8 --set epochs=30")
@run_folder
@click.option("--networks", type=int, help="To retrain [default: 8].")
@click.option("--recipe", help="fast, resnest, finetune, or a .yaml file [default: fast].")
@settings
@click.option("--seeds", type=int, help="Trainings of each network [default: 1].")
@click.option("--workers", type=int, help="Processes that share every batch [default: 1].")
@click.option("--device", help="auto, cpu or cuda [default: cpu].")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write [default: DIR/proxy_study].")
@serially
def proxy_study(
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
    view = View(Console(stderr=True))
    with view:
        study = study_proxy(folder, out, overrides=overrides, on_epoch=view.epoch, note=view.note, **chosen)
    console.print(agreement_table(study.agreement))
    console.print(study.verdict, markup=False, highlight=False, soft_wrap=True)


@command("export runs/retrained --out model")
@click.argument("source", metavar="MODEL|REFERENCE")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="New folder to write.")
@click.option("--init", help="Weights of a REFERENCE: official takes its authors'.")
@click.option("--fold/--no-fold", default=True, show_default=True, help="Batch norms in ONNX and pt2.")
@click.option("--onnx/--no-onnx", default=True, show_default=True, help="Write model.onnx.")
@click.option("--program/--no-program", default=True, show_default=True, help="Write model.pt2.")
@click.option("--labels", type=existing_file, help="Class names, one a line, in the order of the logits.")
@click.option("--device", default="cpu", show_default=True, help="Where the card's latency is measured.")
def export(source: str, out: Path, fold: bool, labels: Path | None, **options: Any) -> None:
    """Write a trained network as a folder for others: weights, model card, ONNX and torch.export programs."""
    import nas
    from nas.cli.progress import shown_if_slow
    from nas.cli.tables import checks_table

    names = labels.read_text(encoding="utf-8").splitlines() if labels else None
    with shown_if_slow(Console(stderr=True)) as progress:
        checks = nas.export(source, out, folded=fold, labels=names, progress=progress, **options)
    console.print(checks_table(checks))
    console.print(f"{out}", markup=False, highlight=False, soft_wrap=True)


@command("predict model cat.jpg dog.png --top 3")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top", default=5, show_default=True, help="Labels to show for each image.")
@click.option("--batch-size", default=32, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--out", type=new_file, help="Also write the predictions to this .csv or .json file.")
def predict(model: Path, images: tuple[Path, ...], out: Path | None, **options: Any) -> int:
    """Classify image files with a trained network; exit code 2 if any could not be read."""
    from nas.cli.predictions import predict_all, to_text
    from nas.cli.progress import shown_if_slow
    from nas.cli.tables import predictions_table
    from results import write_atomic

    to_text([], out)
    with shown_if_slow(Console(stderr=True)) as progress:
        found = predict_all(model, images, progress, **options)
    console.print(predictions_table(found))
    if out:
        write_atomic(out, to_text(found, out))
    unreadable = [each.error for each in found if each.error]
    for error in unreadable:
        _complain(error)
    return 2 if unreadable else 0


@command("doctor")
def doctor() -> None:
    """Say what is installed, what it runs on, what is missing, and how to mend it."""
    from nas.cli.doctor import print_findings

    print_findings(console)


if __name__ == "__main__":
    main()
