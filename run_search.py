"""The command line of SplitSearch: one short function per command, no logic."""

from __future__ import annotations

import sys
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
        except (ValueError, ImportError) as error:
            code = _complain(str(error))
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted before anything was finished", err=True)
            code = 130
        sys.exit(code)


def _complain(message: str) -> int:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    return 2


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Neural architecture search over the split-attention design space."""
    sys.path.append(str(Path.cwd()))  # where the user's own module:Name may lie


def command(example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command whose help ends with an example; the function's result is the exit code."""
    return main.command(epilog=f"Example: python run_search.py {example}")


new_file = click.Path(path_type=Path, dir_okay=False)
existing_file = click.Path(path_type=Path, dir_okay=False, exists=True)
run_folder = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))


@command("search quick --set trials=16 --out runs/first")
@click.argument("preset", default="quick", metavar="[PRESET|FILE.yaml]")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting; repeatable."
)
@click.option("--out", type=click.Path(path_type=Path), help="New run folder [default: runs/NAME-TIME].")
def search(preset: str, overrides: tuple[str, ...], out: Path | None) -> int:
    """Search for a Pareto front of networks and leave it in a run folder."""
    import nas
    from nas.terminal import print_outcome
    from nas.view import SearchView

    config = nas.load_config(preset, overrides)
    out = out or Path("runs") / f"{Path(preset).stem}-{datetime.now():%Y%m%d-%H%M%S}"
    with SearchView(config, console) as view:
        run = nas.search(config, out, listeners=[view])
    return print_outcome(run, console)


@command("front runs/first --objective accuracy=max --objective params=min")
@run_folder
@click.option(
    "--objective", "objectives", multiple=True, metavar="METRIC=max|min",
    help="Repeatable [default: the search's own].",
)  # fmt: skip
@click.option("--out", type=new_file, help="Also write the front to this .csv file.")
def front(folder: Path, objectives: tuple[str, ...], out: Path | None) -> None:
    """Print the Pareto front of a run, finished or not."""
    from nas.terminal import front_table, parse_objectives
    from results import load_run, write_atomic

    run = load_run(folder)
    chosen = parse_objectives(objectives) or run.objectives
    found = run.front(chosen)
    console.print(front_table(found, chosen, console.width))
    if out:
        write_atomic(out, found.to_csv(index=False))


@command("report runs/first --out front.html")
@run_folder
@click.option("--out", type=new_file, help="HTML file to write [default: DIR/report.html].")
def report(folder: Path, out: Path | None) -> None:
    """Write a run's report: one HTML file that opens anywhere."""
    from results import load_run, write_report

    out = out or folder / "report.html"
    write_report(load_run(folder), out)
    console.print(f"{out}", markup=False)


@command("spaces resnest")
@click.argument("name", required=False)
def spaces(name: str | None) -> None:
    """List the search spaces and published networks, or one space's knobs."""
    from nas.terminal import knobs_table, spaces_table

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
@click.option("--out", type=new_file, help="Also write the numbers to this .json file.")
def measure(network: str, out: Path | None, **options: Any) -> None:
    """Measure a network's exact cost, fvcore's count of it, and its latency on this machine."""
    from nas.measure import measure_network
    from nas.terminal import measurement_table
    from results import write_atomic
    from results.strict_json import dumps

    with console.status("measuring"):
        measured = measure_network(network, **options)
    console.print(measurement_table(network, measured))
    if out:
        write_atomic(out, dumps(measured, indent=2) + "\n")


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
    from nas.progress import shown_if_slow
    from nas.terminal import checks_table

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
    from nas.predictions import predict_all, to_text
    from nas.progress import shown_if_slow
    from nas.terminal import predictions_table
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


if __name__ == "__main__":
    main()
