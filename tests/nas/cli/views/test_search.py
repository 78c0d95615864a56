from __future__ import annotations

import io
from typing import Any

import pytest

from nas import SearchConfig
from nas.cli.terminal import PlainConsole
from nas.cli.views.search import SearchView
from results import Event


def view(*, terminal: bool, **config: Any) -> tuple[SearchView, io.StringIO]:
    out = io.StringIO()
    console = PlainConsole(file=out, force_terminal=terminal, width=100, _environ={})
    return SearchView(SearchConfig(trials=3, **config), console), out


def tell(shown: SearchView, kind: str, trial: int | None, **data: Any) -> None:
    shown(Event(1, 0.0, kind, trial, data))


def feed(shown: SearchView) -> None:
    """Trial 0 completes, trial 1 fails, trial 2 is in its fourth epoch."""
    for trial in range(3):
        tell(shown, "proposed", trial, arch_id=f"id{trial}")
        tell(shown, "measured", trial, flops=2_000_000, latency_ms=1.5)
    tell(shown, "epoch", 0, epoch=9, accuracy=0.975)
    tell(shown, "finished", 0, status="complete", error=None)
    tell(
        shown,
        "finished",
        1,
        status="failed",
        error="FloatingPointError: loss [bold]nan",
    )
    tell(shown, "epoch", 2, epoch=4, accuracy=0.5)


def test_plain_lines_where_there_is_no_terminal() -> None:
    shown, out = view(terminal=False)
    with shown:
        feed(shown)
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    done = next(line for line in lines if line.startswith("[1/3] trial 0"))
    assert "accuracy 97.50 %" in done
    assert "front 1" in done
    assert "left" in done
    failed = next(line for line in lines if line.startswith("[2/3] trial 1"))
    assert "failed: FloatingPointError: loss [bold]nan" in failed


def test_the_live_view_shows_what_is_going_on() -> None:
    shown, _ = view(
        terminal=True,
        reference_point={"accuracy": 0.0, "latency_ms": 2.5, "flops": 4e6},
    )
    feed(shown)
    console = PlainConsole(width=100, record=True, file=io.StringIO())
    console.print(shown._render())
    text = console.export_text()
    assert "2/3 networks" in text
    assert "epoch 4/9 accuracy 50.00 %" in text
    assert "front 1 networks" in text
    assert f"hypervolume {0.975 * 1.0 * 2e6:.4g}" in text
    assert "failed 1" in text
    assert "id2" in text
    assert "id0" not in text, "finished trials are not running"


def test_a_further_round_of_finalists_raises_the_total_at_once() -> None:
    shown, _ = view(terminal=True)
    feed(shown)
    tell(shown, "search_started", None, config={"trials": 7})
    console = PlainConsole(width=100, record=True, file=io.StringIO())
    console.print(shown._render())
    assert "2/7 networks" in console.export_text()


def test_epochs_of_ones_own_evaluator_need_no_accuracy() -> None:
    shown, _ = view(terminal=True, objectives={"score": "max"})
    tell(shown, "proposed", 0, arch_id="id0")
    tell(shown, "epoch", 0, epoch=3, score=0.25)
    console = PlainConsole(width=100, record=True, file=io.StringIO())
    console.print(shown._render())
    assert "score 0.2500" in console.export_text()


@pytest.mark.parametrize(
    ("latency", "told"),
    [("latency", "being measured"), ("synflow", "in its first epoch")],
)
def test_only_a_search_that_measures_latency_waits_for_it(
    latency: str, told: str
) -> None:
    shown, _ = view(terminal=True, evaluators=("complexity", latency, "training"))
    tell(shown, "proposed", 0, arch_id="id0")
    console = PlainConsole(width=100, record=True, file=io.StringIO())
    console.print(shown._render())
    assert told in console.export_text()


def test_before_the_first_trial_it_says_what_it_waits_for() -> None:
    shown, _ = view(terminal=True)
    console = PlainConsole(width=100, record=True, file=io.StringIO())
    console.print(shown._render())
    assert "starting workers" in console.export_text()


@pytest.mark.parametrize("terminal", [True, False])
def test_events_of_the_search_itself_are_no_trials(terminal: bool) -> None:
    shown, _ = view(terminal=terminal)
    with shown:
        tell(shown, "search_started", None, config={})
        tell(shown, "search_finished", None, reason="done")
