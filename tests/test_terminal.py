"""Every command that shows something, on terminals of many kinds."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.nas.tiny import TINY
from tests.terminals import ROOT, shown

SETTINGS = " ".join(f"--set {each}" for each in (*TINY, "trials=1"))
COMMANDS = {
    "search": f"search quick --serial --out s {SETTINGS}",
    "front": "front published",
    "select": "select published --diverse 2",
    "status": "status s",
    "spaces": "spaces",
    "knobs": "spaces regnety",
    "simulate": "simulate published --workers 2 --hours 1",
    "doctor": "doctor",
    "help": "search --help",
    "refused": "measure resnest51",
}
COLOUR = re.compile(r"\x1b\[[\d;]*(3[0-7]|38;)[\d;]*m")
ESCAPE = re.compile(r"\x1b\[[\d;?]*[A-Za-z]")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "results/fronts/cifar10-small", tmp_path / "published")
    monkeypatch.setenv("SPLITSEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def screens(folder: Path, columns: int, **variables: str) -> dict[str, str]:
    """What each command shows, the exit codes being right."""
    found = shown(list(COMMANDS.values()), folder, columns, **variables)
    codes = {name: found[words][0] for name, words in COMMANDS.items()}
    assert codes == dict.fromkeys(COMMANDS, 0) | {"refused": 2}, found
    return {name: found[words][1] for name, words in COMMANDS.items()}


TABLES = ("front", "select", "spaces", "knobs", "simulate")


def lines_of(screen: str) -> list[str]:
    """As they stand there, one drawn over another counted as a line of its own."""
    return re.split(r"[\r\n]", ESCAPE.sub("", screen))


# colour is left out on the wide one only, since each terminal takes seconds
@pytest.mark.parametrize(("columns", "no_color"), [(40, ""), (200, "1")])
def test_tables_fit_the_terminal_and_no_word_is_cut(
    folder: Path, columns: int, no_color: str
) -> None:
    found = screens(folder, columns, NO_COLOR=no_color)
    for name in TABLES:
        assert max(map(len, lines_of(found[name]))) <= columns, name
        assert "\N{HORIZONTAL ELLIPSIS}" not in found[name], name
    assert "accuracy (%)" in found["front"]
    words = " ".join(lines_of(found["spaces"])).split()
    assert "bottleneck_width" in words, "names stay whole"
    assert "resnest50_fast_2s1x64d" in words
    assert "\x1b[?25l" in found["search"], "a view that lives"
    coloured = [name for name, screen in found.items() if COLOUR.search(screen)]
    assert bool(coloured) != bool(no_color)


def test_a_dumb_terminal_that_knows_ascii_only_gets_plain_lines(folder: Path) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = screens(folder, 80, TERM="dumb", **plain)
    for name, screen in found.items():
        assert screen.isascii(), name
        assert "\x1b" not in screen, name
    assert "[1/1] trial 0 accuracy" in found["search"], "progress is told all the same"
    assert "Pareto front: 13 networks" in found["front"]
