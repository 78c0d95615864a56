from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.live import Live
from rich.text import Text

import run_search
from nas.cli.tables import front_table, print_outcome
from nas.cli.terminal import PlainConsole
from nas.controller import NO_MORE_NETWORKS
from results import load_run

PUBLISHED = Path(run_search.__file__).parent / "results/fronts/cifar10-small"
FRONT = pd.DataFrame({
    "trial": [3, 7], "accuracy": [0.975, 0.95], "flops": [2e6, 1e6], "params": [5e4, 4e4],
    "arch.depth1": [1, 2], "arch.depth2": [2, 3], "arch.w0": [8, 16], "arch.avd": [True, True],
})  # fmt: skip


def printed(front: pd.DataFrame, width: int) -> str:
    console = PlainConsole(width=width, file=io.StringIO(), record=True)
    console.print(front_table(front, ["accuracy", "flops"], width))
    return console.export_text()


def test_stages_stand_together_and_equal_knobs_are_left_out() -> None:
    text = printed(FRONT, 120)
    assert "Pareto front: 2 networks" in text
    assert "depth 1-2 w0 8" in text
    assert "avd" not in text


def test_a_stage_in_which_all_agree_keeps_its_place() -> None:
    assert "depth 1-2-1 " in printed(FRONT.assign(**{"arch.depth3": [1, 1]}), 160)


def test_a_network_alone_shows_all_its_knobs() -> None:
    assert "avd True" in printed(FRONT.head(1), 120)


def test_networks_of_several_families_show_the_knobs_of_each() -> None:
    families = FRONT[["trial", "accuracy", "flops"]].assign(
        **{
            "arch.family": ["regnety", "resnest"],
            "training.lr": [0.1, 0.1],
            "arch.regnety.attention": ["se", None],
            "arch.resnest.radix": [None, 2],
        }
    )
    text = printed(families, 120)
    assert "family regnety attention se" in text
    assert "family resnest radix 2" in text
    assert "lr" not in text


def test_a_metric_that_was_not_measured_has_no_column() -> None:
    assert "latency" not in printed(FRONT.assign(latency_ms=float("nan")), 120)
    assert "latency" in printed(FRONT.assign(latency_ms=[1.0, 2.0]), 120)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_knob_is_cut_off(width: int) -> None:
    words = printed(FRONT.head(1), width).split()
    assert {"depth", "1-2", "w0", "8", "avd", "True"} <= set(words)
    assert ("parameters" in words) == (width >= 100)


@pytest.mark.parametrize("value", ["[relu]", "[/relu]", "[bold]x", ":smile:"])
def test_texts_are_no_markup(value: str) -> None:
    assert value in printed(FRONT.assign(**{"arch.act": [value, "b"]}), 120)


def test_no_escape_sequence_reaches_the_terminal() -> None:
    """Names of images, knobs and errors come from anywhere; ESC ] 52 would write to the clipboard."""
    evil, screen = "\x1b]52;c;YQ==\x07\x9b2J", io.StringIO()
    console = PlainConsole(file=screen, width=120)
    console.print(
        front_table(FRONT.assign(**{"arch.act": [evil, "b"]}), ["flops"], 120)
    )
    console.print(evil)
    console.print(Text(evil))
    shown = screen.getvalue()
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)
    assert shown.count("\u241b]52;c;YQ==") == 3


def test_a_live_view_still_moves_the_cursor() -> None:
    screen = io.StringIO()
    console = PlainConsole(file=screen, width=40, force_terminal=True, _environ={})
    with Live(Text("first"), console=console, auto_refresh=False) as live:
        live.update(Text("second"), refresh=True)
    assert "\x1b[" in screen.getvalue()
    assert "\u241b" not in screen.getvalue()


@pytest.mark.parametrize(
    ("ended", "stop", "raised"),
    [
        ("24 trials done", {}, " --set trials=…"),
        ("2 hours worked", {"hours": 2}, " --set trials=… --set stop.hours=…"),
        ("interrupted", {"hours": 2}, ""),
    ],
)
def test_how_to_go_on_names_every_setting_that_ends_a_search(
    ended: str, stop: dict[str, float], raised: str
) -> None:
    run = replace(load_run(PUBLISHED), ended=ended, config={"stop": stop})
    console = PlainConsole(width=80, file=io.StringIO(), record=True)
    print_outcome(run, console)
    assert f"resume {PUBLISHED}{raised}\n" in console.export_text()


def test_a_search_of_all_there_is_does_not_offer_to_go_on() -> None:
    run = replace(load_run(PUBLISHED), ended=NO_MORE_NETWORKS)
    console = PlainConsole(width=80, file=io.StringIO(), record=True)
    print_outcome(run, console)
    assert NO_MORE_NETWORKS in " ".join(console.export_text().split())
    assert "resume" not in console.export_text()
