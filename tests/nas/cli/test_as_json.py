"""Answers for scripts: one object on stdout, read here as a stranger's script would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import run_search
from results import load_run
from search_spaces import REFERENCES, arch_from_dict, complexity, get_space, reference

PUBLISHED = Path(run_search.__file__).parent / "results/fronts/cifar10-small"


def answer(*arguments: str | Path) -> dict[str, Any]:
    """What a command prints, refusing the NaN and Infinity that JSON does not have."""
    words = [*map(str, arguments), "--json"]
    done = CliRunner().invoke(run_search.main, words)
    assert done.exit_code == 0, done.output
    assert done.stdout.isascii()
    assert done.stdout.count("\n") == 1
    found: dict[str, Any] = json.loads(done.stdout, parse_constant=pytest.fail)
    assert found.pop("format") == 1
    return found


def test_front_prints_what_front_json_would_hold() -> None:
    found = answer("front", PUBLISHED)
    table = load_run(PUBLISHED).front()
    assert [row["trial"] for row in found["networks"]] == list(table["trial"])
    assert found["hypervolume"] == load_run(PUBLISHED).hypervolume()
    for row in found["networks"]:
        assert arch_from_dict(row["arch"]).id == row["arch_id"]
        assert row["memory_mb"] is None, "not measured is not 0"


def test_front_takes_other_objectives_and_writes_the_file_too(tmp_path: Path) -> None:
    out = tmp_path / "front.csv"
    found = answer("front", PUBLISHED, "--objective", "params=min", "--out", out)
    assert found["objectives"] == {"params": "min"}
    least = load_run(PUBLISHED).complete["params"].min()
    assert {row["params"] for row in found["networks"]} == {least}
    assert set(pd.read_csv(out)["params"]) == {least}


def test_select_says_why_and_gives_what_retraining_takes(tmp_path: Path) -> None:
    out = tmp_path / "pick.json"
    found = answer("select", PUBLISHED, "--under", "macs=2e7", "--out", out)
    (network,) = found["networks"]
    assert network["macs"] <= 2e7
    assert "macs <= 2e+07" in found["why"]
    assert json.loads(out.read_text())["arch"] == network["arch"]


def test_spaces_has_every_choice_of_every_knob() -> None:
    found = {space["name"]: space for space in answer("spaces")["spaces"]}
    published = [name for space in found.values() for name in space["networks"]]
    assert sorted(published) == sorted(REFERENCES)
    (one,) = answer("spaces", "resnest")["spaces"]
    assert one == found["resnest"]
    assert one["knobs"]["radix"] == [0, 1, 2, 4]
    get_space("resnest", **one["knobs"])  # raises for a choice that is none


def test_measure_prints_metrics_by_the_names_of_the_trials_table() -> None:
    options = ["--resolution", "32", "--threads", "1", "--max-load", "1"]
    found = answer("measure", "resnest14d", *options, "--interval", "1")
    assert found["network"] == "resnest14d"
    assert found["arch_id"] == reference("resnest14d").id
    assert found["params"] == complexity(reference("resnest14d")).params
    assert found["flops"] == found["fvcore_flops"]
    assert found["latency_ms"] > 0


def test_status_is_not_both_watched_and_scripted() -> None:
    words = ["status", str(PUBLISHED), "--json", "--watch"]
    done = CliRunner().invoke(run_search.main, words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
