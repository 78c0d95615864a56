"""What all commands share: errors in one line, the help, options that several have."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError

from nas.cli.program import program
from nas.cli.terminal import PlainConsole, harmless


def _width() -> int | None:
    """That of the terminal (None: rich finds it), behind a pipe too; 120 where there is none, as in a job."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    here = "COLUMNS" in os.environ or any(each and each.isatty() for each in streams)
    return None if here else 120


console = PlainConsole(width=_width())


class CommandLine(click.Group):
    """Bad input gets one line on stderr and exit code 2; Ctrl-C gives 130."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="replace")  # an ASCII terminal has no "…"
        # a search before, in this process, may have lost its terminal
        console.file = sys.stdout
        try:
            # standalone_mode: click would print errors its own way, and exit with 1
            code = super().main(*arguments, **options | {"standalone_mode": False})
        except NoArgsIsHelpError as error:  # its message is the whole help
            error.show()
            code = 2
        except click.ClickException as error:
            code = complain(error.format_message())
        except OSError as error:
            named = f"{error.filename}: {error.strerror}"
            reason = named if error.filename else str(error)
            code = complain(reason + _way_out(error))
        except (ValueError, ImportError, FloatingPointError) as error:
            code = complain(str(error))
        except (click.Abort, KeyboardInterrupt) as error:
            pressed = error.__cause__ or error  # click makes an Abort of it
            nothing = "interrupted before anything was finished"
            click.echo(str(pressed) or nothing, err=True)
            code = 130
        sys.exit(code)


def _way_out(error: OSError) -> str:
    """What a person can do about it, if that is known."""
    no_room = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    # SQLite's words for a full disk, and for a quota that is used up
    words = ("disk is full", "disk I/O error")
    if not no_room and not any(word in str(error) for word in words):
        return ""
    return (
        f"; make room, then go on: {program()} resume RUN (what was logged is kept), "
        "or the same again if no run had begun"
    )


def complain(message: str) -> int:
    click.echo(f"error: {harmless(' '.join(message.split()))}", err=True)
    return 2


def _print_version(
    context: click.Context, option: click.Parameter, wanted: bool
) -> None:
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
    warnings.formatwarning = lambda message, *_, **__: (
        f"warning: {harmless(' '.join(str(message).split()))}\n"
    )
    sys.path.append(str(Path.cwd()))  # where the user's own module:Name may lie


def command(example: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command whose help ends with an example; the function's result is the exit code."""
    return main.command(epilog=f"Example: {program()} {example}")


@contextmanager
def going_on(how: str, begun: Path | None = None) -> Iterator[None]:
    """Ctrl-C within says ``how`` to go on, if the file ``begun`` is there; nothing finished is lost."""
    try:
        yield
    except KeyboardInterrupt:
        if begun is not None and not begun.exists():
            raise
        raise KeyboardInterrupt(f"interrupted; go on with: {how}") from None


def with_engine(overrides: tuple[str, ...], serial: bool) -> tuple[str, ...]:
    return (*overrides, "engine=serial") if serial else overrides


new_file = click.Path(path_type=Path, dir_okay=False)
settings = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting; repeatable.",
)
serially = click.option(
    "--serial",
    is_flag=True,
    help="Short for --set engine=serial: in this process, without Ray.",
)
as_json = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object for scripts instead (docs: Answers for scripts).",
)
with_default = partial(click.option, show_default=True)
"""An option whose help says what it is unless given."""
existing_file = click.Path(path_type=Path, dir_okay=False, exists=True)
run_folder = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
run_place = click.argument("folder", metavar="DIR|URL")
