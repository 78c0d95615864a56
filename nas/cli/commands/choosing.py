"""Commands that look at networks, those of a run or published ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nas.cli.commands.app import as_json, command, console, new_file, run_place
from nas.cli.terminal import PlainConsole


@command("front runs/first --objective accuracy=max --objective params=min")
@run_place
@click.option(
    "--objective", "objectives", multiple=True, metavar="METRIC=max|min",
    help="Repeatable [default: the search's own].",
)  # fmt: skip
@click.option(
    "--retrained",
    is_flag=True,
    help="Of retrained networks, by their validation accuracy then.",
)
@click.option("--out", type=new_file, help="Also write the front to this .csv file.")
@as_json
def front(
    folder: str,
    objectives: tuple[str, ...],
    retrained: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Print the Pareto front of a run, finished or not."""
    from nas.cli.as_json import front_answer, print_json
    from nas.cli.tables import front_table, parse_objectives
    from results import load_run, write_atomic

    if out and out.suffix != ".csv":
        raise ValueError(f"--out {out}: a .csv file is needed")
    run = load_run(folder)
    run = run.full_fidelity() if retrained else run
    chosen = parse_objectives(objectives) or run.objectives
    found = run.front(chosen)
    if as_json:
        print_json(front_answer(run, chosen))
    else:
        console.print(front_table(found, chosen, console.width))
        if run.complete.empty:
            count = len(run.trials)
            console.print(f"none of the {count} trials has been trained to its end")
    if out:
        write_atomic(out, found.to_csv(index=False))


@command(
    "select runs/first --maximize accuracy --under latency_ms=5 --out selected.json"
)
@run_place
@click.option(
    "--maximize",
    metavar="METRIC",
    help="The most of this [default: the search's first objective].",
)
@click.option("--minimize", metavar="METRIC", help="The least of this.")
@click.option(
    "--under", multiple=True, metavar="METRIC=VALUE", help="At most; repeatable."
)
@click.option(
    "--over", multiple=True, metavar="METRIC=VALUE", help="At least; repeatable."
)
@click.option("--knee", is_flag=True, help="The front's best compromise.")
@click.option(
    "--near",
    multiple=True,
    metavar="METRIC=VALUE",
    help="The nearest to this; repeatable.",
)
@click.option(
    "--buckets", metavar="METRIC=A,B,…", help="The best up to A, from there up to B, …."
)
@click.option(
    "--diverse",
    type=click.IntRange(min=1),
    metavar="N",
    help="The N most different of the front.",
)
@click.option(
    "--proxy", is_flag=True, help="By the search's short trainings, finalists or not."
)
@click.option(
    "--out",
    type=new_file,
    help="Also write the pick as .json, which retrain takes; several are numbered.",
)
@as_json
def select_command(
    folder: str, proxy: bool, out: Path | None, as_json: bool, **choice: object
) -> None:
    """Pick the final network of a run, of its finalists if there are, and say why that one."""
    from nas.cli.as_json import print_json, selection_answer
    from nas.cli.tables import front_table
    from nas.runs.selection import check_suffix, read_choice, write_selection
    from results import load_run
    from results.runs.finalists import load_finalists

    if out:
        check_suffix(out)
    finals = None if proxy else load_finalists(folder)
    run = finals or load_run(folder)
    selection = run.select(**read_choice(choice))
    if as_json:
        print_json(selection_answer(run, selection))
    else:
        full = f"of {len(run.trials)} networks trained in full, the " if finals else ""
        console.print(f"{full}{selection.why}")
        width = console.width
        console.print(front_table(selection.rows, run.objectives, width, "Selected"))
    for path in write_selection(selection, run, out) if out else ():
        if not as_json:
            console.print(f"{path}", soft_wrap=True)


@command("spaces resnest --limit macs=13e6 --resolution 32 --suggest")
@click.argument("name", required=False, metavar="[SPACE|PRESET|FILE.yaml]")
@click.option(
    "--suggest",
    is_flag=True,
    help="The network to draw by hand for the limits: a published one, scaled.",
)
@click.option("--limit", "limits", multiple=True, metavar="METRIC=MOST|LEAST..MOST",
              help="Of --suggest; repeatable.")  # fmt: skip
@click.option("--classes", type=int, help="Of the images [default: 1000].")
@click.option("--resolution", type=int, help="Side in pixels [default: 224].")
@click.option("--channels", type=int, help="[default: 3]")
@click.option(
    "--out", type=new_file, help="Also write the suggestion as .json, for measure, retrain, baselines."
)  # fmt: skip
@as_json
def spaces(
    name: str | None,
    suggest: bool,
    limits: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    **images: int | None,
) -> None:
    """List the search spaces and published networks, or one space's knobs; or suggest a network of it."""
    from nas.cli.as_json import print_json
    from nas.cli.suggestion import suggestion_answer, suggestion_table
    from results import write_atomic
    from results.strict_json import dumps

    if not suggest:
        if limits or out or any(images.values()):
            raise click.UsageError("--limit, --out and the images are for --suggest")
        _show_spaces(name, as_json)
        return
    if name is None:
        raise click.UsageError("--suggest needs a space, such as resnest")
    answer = suggestion_answer(name, limits, images)
    if as_json:
        print_json(answer)
    else:
        console.print(suggestion_table(answer))
    if out:
        write_atomic(out, dumps(answer, indent=2) + "\n")


def _show_spaces(name: str | None, as_json: bool) -> None:
    """All spaces, or the knobs of one."""
    from nas.cli.as_json import print_json, spaces_answer
    from nas.cli.tables import knobs_table, spaces_table

    if as_json:
        print_json(spaces_answer(name))
    else:
        console.print(knobs_table(name) if name else spaces_table())


@command("measure resnest50_fast_2s1x64d --resolution 160 --batch-size 8")
@click.argument("network", metavar="REFERENCE|ARCH.json")
@click.option("--classes", default=1000, show_default=True)
@click.option(
    "--resolution", default=224, show_default=True, help="Side of the image in pixels."
)
@click.option("--channels", default=3, show_default=True)
@click.option("--small-images", is_flag=True, help="Keep the stem from downsampling.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--batch-size", type=int, help="Images at once [default: 1].")
@click.option("--dtype", help="float32, float16 or bfloat16 [default: float32].")
@click.option("--threads", type=int, help="CPU threads [default: torch's].")
@click.option("--channels-last", is_flag=True)
@click.option("--fold", is_flag=True, help="Fold the batch norms away first.")
@click.option("--compile", is_flag=True, help="Measure what torch.compile makes of it.")
@click.option("--cuda-graph", is_flag=True, help="Launch all kernels at once.")
@click.option(
    "--interval", type=float, help="Certainty of the median to reach [default: 0.01]."
)
@click.option(
    "--max-seconds", type=float, help="For warming up, and for repeating [default: 1]."
)
@click.option(
    "--max-load",
    type=float,
    help="Refuse if others use more of the CPU [default: 0.1].",
)
@click.option(
    "--keep-disturbed",
    is_flag=True,
    help="If refused three times, take the lowest median.",
)
@click.option("--out", type=new_file, help="Also write the numbers to this .json file.")
@as_json
def measure_command(
    network: str, out: Path | None, as_json: bool, **options: Any
) -> None:
    """Measure a network's exact cost, fvcore's count of it, and its latency on this machine."""
    from nas.cli.as_json import print_json
    from nas.cli.measure import measure_network
    from nas.cli.tables import measurement_table
    from nas.cli.waiting import told_of_waits
    from nas.runs.networks import load_arch
    from results import write_atomic
    from results.strict_json import dumps

    given = {name: value for name, value in options.items() if value is not None}
    terminal = PlainConsole(stderr=True)
    with told_of_waits(terminal), terminal.status("measuring"):
        measured = measure_network(network, **given)
    if as_json:
        arch = load_arch(network).to_dict()
        print_json({"network": network, "arch": arch, **measured})
    else:
        console.print(measurement_table(network, measured))
    if out:
        write_atomic(out, dumps(measured, indent=2) + "\n")
