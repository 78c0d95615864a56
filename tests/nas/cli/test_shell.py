"""Completion as a shell asks for it, the name of the command, and the word on Ctrl-C."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import nas
import run_search
from nas.cli.program import as_typed, program
from nas.studies import proxy_study, space_comparison


def invoke(*words: str) -> Result:
    return CliRunner().invoke(run_search.main, words)


def complete(typed: str) -> list[str]:
    """What click answers to the script that ``completion bash`` prints."""
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split(" ")) - 1)}
    asked["_SPLITSEARCH_COMPLETE"] = "bash_complete"
    done = CliRunner().invoke(run_search.main, prog_name="splitsearch", env=asked)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_the_bare_command_prints_its_help_in_lines() -> None:
    done = invoke()
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.rstrip("\n") == invoke("--help").stdout.rstrip("\n")


def test_commands_options_and_presets_are_completed() -> None:
    assert complete("splitsearch sea") == ["search"]
    assert "--dry-run" in complete("splitsearch search --")
    assert complete("splitsearch search qu")[0] == "quick"


def test_bash_takes_the_script_and_asks_for_completions(tmp_path: Path) -> None:
    script = tmp_path / "completion.sh"
    script.write_text(invoke("completion", "bash").stdout)
    asked = f"source {script}; complete -p splitsearch"
    done = subprocess.run(
        ["bash", "--norc", "-c", asked], capture_output=True, text=True, check=True
    )
    assert "_splitsearch_completion" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_told_where_its_script_lives(shell: str) -> None:
    printed = invoke("completion", shell).stdout
    assert printed.startswith("# ")
    assert "_SPLITSEARCH_COMPLETE" in printed


def test_the_command_is_named_as_this_shell_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "my env" / "bin" / "splitsearch"
    own.parent.mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(own.with_name("python")))
    monkeypatch.setenv("PATH", os.defpath)
    assert program() == "python run_search.py", "not installed"
    own.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    assert program() == "'my env/bin/splitsearch'"
    monkeypatch.chdir("/")
    assert program() == f"'{own.relative_to('/')}'"
    monkeypatch.setenv("PATH", f"{own.parent}:{os.defpath}")
    assert program() == "splitsearch"
    typed = as_typed("resume", tmp_path / "my run")
    assert shlex.split(typed) == ["splitsearch", "resume", f"{tmp_path}/my run"]


def test_ctrl_c_names_what_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(nas, "retrain", pressed)
    monkeypatch.setattr(proxy_study, "proxy_study", pressed)
    monkeypatch.setattr(space_comparison, "compare_spaces", pressed)
    for words, how in (
        ("retrain resnest14d --out a", f"{program()} retrain --resume a"),
        ("proxy-study .", "the same command"),
        ("compare-spaces a.yaml b.yaml --out c", "the same command"),
    ):
        done = invoke(*words.split())
        assert done.exit_code == 130
        assert done.stderr.strip() == f"interrupted; go on with: {how}"
