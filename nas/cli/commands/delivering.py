"""Commands that hand a trained network on, and one that checks the installation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nas.cli.commands.app import command, complain, console, existing_file, new_file
from nas.cli.terminal import PlainConsole


@command("export runs/retrained --out model")
@click.argument("source", metavar="MODEL|REFERENCE")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="New folder to write."
)
@click.option("--init", help="Weights of a REFERENCE: official takes its authors'.")
@click.option(
    "--fold/--no-fold",
    default=True,
    show_default=True,
    help="Batch norms in ONNX and pt2.",
)
@click.option(
    "--onnx/--no-onnx", default=True, show_default=True, help="Write model.onnx."
)
@click.option(
    "--program/--no-program", default=True, show_default=True, help="Write model.pt2."
)
@click.option(
    "--labels",
    type=existing_file,
    help="Class names, one a line, in the order of the logits.",
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    help="Where the card's latency is measured.",
)
def export_command(
    source: str, out: Path, fold: bool, labels: Path | None, **options: Any
) -> None:
    """Write a trained network as a folder for others: weights, model card, ONNX and torch.export programs."""
    import nas
    from nas.cli.progress import shown_if_slow
    from nas.cli.tables import checks_table
    from nas.cli.waiting import told_of_waits

    names = labels.read_text(encoding="utf-8").splitlines() if labels else None
    terminal = PlainConsole(stderr=True)
    with told_of_waits(terminal), shown_if_slow(terminal) as progress:
        checks = nas.export(
            source, out, folded=fold, labels=names, progress=progress, **options
        )
    console.print(checks_table(checks))
    console.print(f"{out}", soft_wrap=True)


@command("predict model cat.jpg dog.png --top 3")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.argument(
    "images",
    metavar="IMAGE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option(
    "--top", default=5, show_default=True, help="Labels to show for each image."
)
@click.option("--batch-size", default=32, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--out",
    type=new_file,
    help="Also write the predictions to this .csv or .json file.",
)
def predict_command(
    model: Path, images: tuple[Path, ...], out: Path | None, **options: object
) -> int:
    """Classify image files with a trained network; exit code 2 if any could not be read."""
    from nas.cli.predictions import predict_all, to_text
    from nas.cli.progress import shown_if_slow
    from nas.cli.tables import predictions_table
    from results import write_atomic

    to_text([], out)
    with shown_if_slow(PlainConsole(stderr=True)) as progress:
        found = predict_all(model, images, progress, **options)
    console.print(predictions_table(found))
    if out:
        write_atomic(out, to_text(found, out))
    unreadable = [each.error for each in found if each.error]
    for error in unreadable:
        complain(error)
    return 2 if unreadable else 0


@command("push model my-name/my-network --private")
@click.argument("model", metavar="MODEL", type=click.Path(path_type=Path))
@click.argument("repo", metavar="OWNER/NAME")
@click.option("--private", is_flag=True, help="If it is new: for its owner only.")
def push(model: Path, repo: str, private: bool) -> None:
    """Upload an exported model to the Hugging Face hub, or the one that HF_ENDPOINT names."""
    import nas
    from nas.cli.progress import without_bars_in_pipes

    without_bars_in_pipes()
    click.echo(nas.push_to_hub(model, repo, private=private))


@command("load my-name/my-network --out model")
@click.argument("repo", metavar="OWNER/NAME")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="New folder to write."
)
@click.option("--revision", help="Branch, tag or commit [default: the newest].")
def load_command(repo: str, out: Path, revision: str | None) -> None:
    """Download a model from a hub, for predict, export and retrain --init."""
    import nas
    from nas.cli.progress import without_bars_in_pipes

    without_bars_in_pipes()
    click.echo(str(nas.load_from_hub(repo, out, revision=revision)))


@command("doctor")
def doctor() -> None:
    """Say what is installed, what it runs on, what is missing, and how to mend it."""
    from nas.cli.doctor import print_findings

    print_findings(console)
