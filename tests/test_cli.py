"""The command line as a user meets it: output, exit codes, one line for bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

import nas
import run_search
from nas.cli.program import program
from results import EventLog
from search_spaces import arch_from_dict, complexity, get_space, reference

COMMANDS = list(run_search.main.commands)
ANY_LOAD = ("--max-load", "1", "--interval", "1")
"""The machine that runs the tests is not idle."""


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        run_search.main, [str(argument) for argument in arguments]
    )


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run of four trials, one of them failed, as the controller logs it."""
    folder = tmp_path / "run"
    folder.mkdir()
    objectives = {"accuracy": "max", "flops": "min"}
    space = get_space("resnest")
    with EventLog(folder / "events.db") as log:
        log.append("search_started", config={"trials": 4}, objectives=objectives)
        for trial, name in enumerate(
            ["resnest14d", "resnest26d", "resnest50", "resnest101"]
        ):
            arch = reference(name)
            facts = {
                "arch_id": arch.id,
                "space": "resnest",
                "arch": arch.to_dict(),
                "seed": 0,
            }
            log.append("proposed", trial, knobs=space.params(arch), **facts)
            log.append("measured", trial, flops=complexity(arch).flops)
            if name == "resnest101":
                log.append(
                    "finished",
                    trial,
                    status="failed",
                    error="MemoryError: <b>none</b> left",
                )
                continue
            log.append("epoch", trial, epoch=1, accuracy=0.5 + 0.1 * trial)
            log.append("finished", trial, status="complete", error=None)
        log.append("search_finished", reason="4 trials done")
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_an_example(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert f"Example: {program()} {name}" in result.stdout


def test_front_prints_and_writes_the_front(run_folder: Path, tmp_path: Path) -> None:
    result = invoke("front", run_folder, "--out", tmp_path / "front.csv")
    assert result.exit_code == 0, result.output
    assert "Pareto front: 3 networks" in result.stdout
    assert list(pd.read_csv(tmp_path / "front.csv")["trial"]) == [2, 1, 0]


def test_front_takes_other_objectives(run_folder: Path) -> None:
    result = invoke("front", run_folder, "--objective", "accuracy=max")
    assert "Pareto front: 1 network " in result.stdout
    assert "radix 2" in result.stdout, "a network alone shows all its knobs"


def test_report_writes_the_page(run_folder: Path) -> None:
    result = invoke("report", run_folder)
    assert result.exit_code == 0, result.output
    page = (run_folder / "report.html").read_text()
    assert "<b>none</b>" not in page, "errors are escaped"
    assert reference("resnest50").id in page


def test_status_answers_scripts(run_folder: Path) -> None:
    found = json.loads(invoke("status", run_folder, "--json").stdout)
    assert found["ended"] == "4 trials done"
    assert found["trials"] == {"complete": 3, "failed": 1}
    assert (found["front"], found["running"]) == (3, [])
    assert found["seconds_left"] is None
    (run_folder / "events.db").unlink()
    refused = invoke("status", run_folder, "--json")
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_spaces_lists_knobs_and_networks() -> None:
    assert "resnest50_fast_2s1x64d" in invoke("spaces").stdout
    assert "0, 1, 2 or 4" in invoke("spaces", "resnest").stdout


def test_measure_agrees_with_fvcore(tmp_path: Path) -> None:
    out = tmp_path / "measured.json"
    result = invoke(
        "measure",
        "resnest14d",
        "--resolution",
        "32",
        "--threads",
        "1",
        *ANY_LOAD,
        "--out",
        out,
    )
    assert result.exit_code == 0, result.output
    measured = json.loads(out.read_text())
    assert measured["flops"] == measured["fvcore_flops"]
    assert measured["latency_ms"] > 0


def test_measure_takes_the_architecture_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "arch.json"
    path.write_text(json.dumps({"trial": 3, "arch": reference("resnest14d").to_dict()}))
    result = invoke("measure", path, "--resolution", "32", "--threads", "1", *ANY_LOAD)
    assert result.exit_code == 0, result.output
    assert reference("resnest14d").id in result.stdout


@pytest.mark.parametrize("begun", [True, False])
def test_ctrl_c_before_the_first_network_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    def pressed(config: object, out: Path, *rest: object) -> None:
        if begun:
            out.mkdir()
            (out / "events.db").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(nas, "search", pressed)
    result = invoke("search", "quick", "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert (f"resume {tmp_path / 'run'}" in result.stderr) is begun


def test_what_is_missing_is_looked_for_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "first").mkdir(parents=True)
    for name in ("mine.yaml", "arch.json"):
        (tmp_path / name).touch()
    meant = {
        "search mine.yml": "did you mean mine.yaml?",
        "search mine": "did you mean mine.yaml?",
        "search runs/first": "a folder, where a preset or a .yaml file is needed",
        "measure arhc.json": "did you mean arch.json?",
        "status runs/frist": "did you mean runs/first?",
        "resume runs/frist": "did you mean runs/first?",
    }
    (tmp_path / "broken_text.yaml").write_bytes(b"trials: \xe4")
    assert "did you mean" not in invoke("search", "broken_text.yaml").stderr
    for words, answer in meant.items():
        result = invoke(*words.split())
        assert (result.exit_code, result.stdout) == (2, "")
        assert answer in result.stderr


BAD: list[tuple[Sequence[str], str]] = [
    (["search", "quik"], "unknown preset 'quik'; did you mean quick?"),
    (["search", "none.yaml"], "none.yaml: cannot be read"),
    (["search", "quick", "--set", "trials=-1"], "trials: must be at least 1, got -1"),
    (
        ["search", "quick", "--set", "space.radix=3"],
        "radix must be 0, 1, 2 or 4, got 3",
    ),
    (
        [
            "search",
            "quick",
            "--set",
            "objectives={speed: max}",
            "--set",
            "reference_point=null",
        ],
        "objectives.speed",
    ),
    (["search", "quick", "--set", "device=cuda:7"], "'cuda:7'"),
    (["front", "x", "--out", "x.parquet"], "--out x.parquet: a .csv file is needed"),
    (["select", "x", "--out", "x.txt"], "--out x.txt: a .json file is needed"),
    (
        ["search", "quick", "--set", "limits.macs=-3"],
        "macs must have 0 <= low <= high, high > 0, got -3",
    ),
    (["front", "no-such-run"], "no-such-run: no such run folder"),
    (["report", "no-such-run"], "no-such-run: no such run folder"),
    (["spaces", "resnet"], "unknown space 'resnet'"),
    (["measure", "resnest51"], "no published network 'resnest51'"),
    (["measure", "none.json"], "none.json: cannot be read as JSON"),
    (
        ["measure", "resnest50", "--dtype", "int4"],
        "dtype: must be float32 or float16 or bfloat16, got 'int4'",
    ),
    (
        ["measure", "resnest50", "--resolution", "0"],
        "Task.resolution must be a positive int, got 0",
    ),
    (["measure", "resnest50", "--device", "cuda:7"], "'cuda:7'"),
    (["measure", "resnest14d", "--threads", "100000"], "threads must be at most"),
    (["measure", "resnest14d", "--classes", "abc"], "'abc' is not a valid integer"),
    (["search", "quick", "--set", "=5"], "--set =5: needs the form key=value"),
    (
        ["search", "quick", "--set", "objectives={accuracy: max}"],
        "null lets the worst values seen bound it",
    ),
    (
        ["search", "quick", "--set", "sampler.seed=3"],
        "sampler evolution: its seed is the search's own setting 'seed'",
    ),
    (
        ["search", "quick", "--set", "sampler=builtins:dict"],
        "dict is no optuna.samplers.BaseSampler",
    ),
    (
        ["search", "quick", "--set", "space=abc:ABC"],
        "space 'abc:ABC' is not a subclass",
    ),
    (
        ["search", "quick", "--set", "space=search_spaces:SearchSpace"],
        "needs arch_type, suggest and params",
    ),
    (
        ["search", "quick", "--set", "space.radix=[[1, 2]]"],
        "radix must be 0, 1, 2 or 4, got [1, 2]",
    ),
    (
        ["search", "quick", "--set", "data=json:loads"],
        "data 'json:loads' must be callable without arguments",
    ),
    (
        ["search", "quick", "--set", "latency.max_seconds=.inf"],
        "max_seconds: must be a finite number",
    ),
    (
        ["search", "quick", "--set", "training.lr=.inf"],
        "training.lr: must be a finite number, got inf",
    ),
    (["no-such-command"], "No such command 'no-such-command'"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), BAD, ids=lambda value: " ".join(value) if value else ""
)
def test_bad_input_gets_one_clear_line(
    arguments: Sequence[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ")
    assert not list(tmp_path.iterdir()), "nothing is written"


@pytest.mark.parametrize(
    "content",
    ['{"space": "resnest", "radix": 3}', "[1]", '{"arch": null}', "{", "[" * 100_000],
)
def test_a_wrong_architecture_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "arch.json"
    path.write_text(content)
    result = invoke("measure", path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {path}: ")
    assert result.stderr.count("\n") == 1


def test_unknown_objectives_of_a_front_are_named(run_folder: Path) -> None:
    result = invoke("front", run_folder, "--objective", "speed=max")
    assert result.exit_code == 2
    assert "objective speed" in result.stderr
    result = invoke("front", run_folder, "--objective", "accuracy")
    assert result.exit_code == 2
    assert "max" in result.stderr
    result = invoke(
        "front",
        run_folder,
        "--objective",
        "accuracy=max",
        "--objective",
        "accuracy=min",
    )
    assert result.stderr == "error: objective accuracy is given twice\n"
    result = invoke("front", run_folder, "--objective", "space=max")
    assert result.stderr == "error: objective space is not a number but 'resnest'\n"


def test_an_output_folder_that_exists_is_refused(tmp_path: Path) -> None:
    result = invoke("search", "quick", "--out", tmp_path)
    assert result.exit_code == 2
    assert "exists already" in result.stderr


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    result = invoke("search", "quick", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "Permission denied" in result.stderr


def test_help_needs_neither_torch_nor_ray() -> None:
    heavy = "{'torch', 'ray', 'pandas', 'optuna', 'pydantic'}"
    code = f"import sys, nas, run_search; sys.exit(bool({heavy} & set(sys.modules)))"
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=Path(run_search.__file__).parent
    )


def test_select_writes_what_retraining_takes(run_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "selected.json"
    budget = complexity(reference("resnest26d")).flops
    result = invoke(
        "select",
        run_folder,
        "--maximize",
        "accuracy",
        "--under",
        f"flops={budget}",
        "--out",
        out,
    )
    assert result.exit_code == 0, result.output
    assert "highest accuracy (0.6) of 2 networks with flops <=" in result.stdout
    selected = json.loads(out.read_text())
    assert arch_from_dict(selected["arch"]) == reference("resnest26d")
    assert (selected["trial"], selected["metrics"]["flops"]) == (1, budget)
    assert selected["why"].startswith("highest accuracy")
    measured = invoke(
        "measure", out, "--resolution", "32", "--classes", "10", *ANY_LOAD
    )
    assert measured.exit_code == 0, measured.stderr
    several = invoke(
        "select",
        run_folder,
        "--diverse",
        "2",
        "--out",
        tmp_path / "picks" / "selected.json",
    )
    assert several.exit_code == 0, several.output
    assert arch_from_dict(
        json.loads((tmp_path / "picks" / "selected-1.json").read_text())["arch"]
    ) == reference("resnest50")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--under", "flops=5"],
            "none of 3 networks has flops <= 5; the nearest is trial 0",
        ),
        (["--under", "flops"], "--under flops: needs the form METRIC=VALUE"),
        (["--near", "flops=few"], "--near: 'few' is no number"),
        (["--under", "latency_ms=5"], "no network has latency_ms measured"),
        (["--buckets", "flops=2,1"], "need rising edges"),
        (["--out", "selected.txt"], "a .json file is needed"),
    ],
)
def test_a_selection_that_cannot_be_is_one_line(
    run_folder: Path, arguments: list[str], message: str
) -> None:
    result = invoke("select", run_folder, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
