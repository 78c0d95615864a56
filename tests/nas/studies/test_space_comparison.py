"""Two spaces, sampled, trained and compared: through the same door as the command line."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from rich.console import Console

from nas.cli.commands import main
from nas.cli.views.search import watched
from nas.studies.space_comparison import compare_spaces
from results import load_run

PLAIN = """
space: {name: resnest, depth1: [1], depth2: [1], depth3: [1], depth4: [1], width1: [8, 16], width2: [8, 16],
  width3: [8, 16], width4: [8, 16], bottleneck_width: [32], radix: [1], cardinality: [1], stem_width: [8],
  deep_stem: [false], avg_down: [true], avd: [false], avd_first: [false]}
objectives: {accuracy: max, macs: min}
evaluators: [complexity, training]
training: {epochs: 1}
trials: 2
"""


@pytest.fixture
def spaces(tmp_path: Path) -> tuple[str, str]:
    for name, text in (
        ("plain", PLAIN),
        ("split", PLAIN.replace("radix: [1]", "radix: [2]")),
    ):
        (tmp_path / f"{name}.yaml").write_text(text)
    return str(tmp_path / "plain.yaml"), str(tmp_path / "split.yaml")


def test_populations_are_kept_and_compared(
    spaces: tuple[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    screen = io.StringIO()
    watch = partial(watched, console=Console(file=screen, width=200))
    comparison = compare_spaces(
        spaces,
        out,
        limits=["macs=1e5..6e5"],
        overrides=["engine=serial"],
        watch=watch,
    )
    assert set(comparison.summary["population"]) == {"plain", "split"}
    saved = json.loads((out / "comparison.json").read_text())
    assert saved["verdict"] == comparison.verdict
    assert "equal budget: median macs" in saved["verdict"]
    assert len(pd.read_csv(out / "edf.csv")) == 4
    before = (out / "A" / "events.db").read_bytes()
    again = compare_spaces(
        spaces, out, limits=["macs=1e5..6e5"], overrides=["engine=serial"]
    )
    assert again.verdict == comparison.verdict
    assert (out / "A" / "events.db").read_bytes() == before
    # as if killed before its second trial
    with (
        closing(sqlite3.connect(out / "B" / "events.db")) as log,
        log,
    ):
        log.execute("DELETE FROM events WHERE trial = 1 OR kind = 'search_finished'")
    resumed = compare_spaces(
        spaces,
        out,
        limits=["macs=1e5..6e5"],
        overrides=["engine=serial"],
        watch=watch,
    )
    shown = screen.getvalue()
    assert shown.count("[1/2] trial 0 accuracy") == 2, "what was done is not said twice"
    assert shown.count("[2/2] trial 1 accuracy") == 3
    assert resumed.summary["networks"].unique().tolist() == [2]
    assert (out / "A" / "events.db").read_bytes() == before
    with pytest.raises(ValueError, match="A: holds a population of other settings"):
        compare_spaces(spaces, out, trials=3, overrides=["engine=serial"])


def test_a_union_is_compared_with_one_of_its_families(tmp_path: Path) -> None:
    small = PLAIN.replace("trials: 2", "trials: 8") + (
        'data: {name: "tests.nas.finalists.few:few_digits", subset: 60}\n'
    )
    regnety = "{name: regnety, depth: [8, 9, 10], w0: [8, 16], group_width: 8, stem_width: 16}"
    resnest = small[small.index("{") : small.index("}") + 1]
    (tmp_path / "resnest.yaml").write_text(small)
    (tmp_path / "both.yaml").write_text(
        small.replace(resnest, f"[{resnest}, {regnety}]")
    )
    sources = str(tmp_path / "resnest.yaml"), str(tmp_path / "both.yaml")
    out = tmp_path / "out"
    words = ["--limit", "macs=1e5..8e5", "--serial", "--out", str(out)]
    answer = CliRunner().invoke(main, ["compare-spaces", *sources, *words])
    assert answer.exit_code == 0, answer.output
    one, both = (load_run(out / name) for name in "AB")
    assert set(one.trials["space"]) == {"resnest"}
    assert set(both.trials["space"]) == {"resnest", "regnety"}
    assert both.trials["macs"].between(1e5, 8e5).all()
    saved = json.loads((out / "comparison.json").read_text())
    assert "equal budget: median macs" in saved["verdict"]
    assert saved["verdict"] in " ".join(answer.output.split())


def test_what_would_not_compare_is_refused_before_anything_runs(
    spaces: tuple[str, str], tmp_path: Path
) -> None:
    longer = tmp_path / "longer.yaml"
    longer.write_text(PLAIN.replace("epochs: 1", "epochs: 2"))
    with pytest.raises(
        ValueError, match="training differs, so the networks would not compare"
    ):
        compare_spaces((spaces[0], str(longer)), tmp_path / "out")
    with pytest.raises(ValueError, match="--limit macs: needs the form"):
        compare_spaces(spaces, tmp_path / "out", limits=["macs"])
    assert not (tmp_path / "out").exists()
