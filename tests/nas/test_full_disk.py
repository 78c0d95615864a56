"""A disk that fills up: the file is named, what was logged is kept, and the search goes on when there is room."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nas import SearchConfig, resume, search
from nas.cli.commands.app import _way_out
from results import load_run
from results.log.event_log import read_events

ROOT = Path(__file__).parents[2]
CONFIG = SearchConfig(
    objectives={"flops": "min", "params": "min"},
    evaluators=("complexity",),
    trials=30,
    engine="serial",
)


def mount(*words: str) -> None:
    told = subprocess.run(
        ["mount", *words], capture_output=True, text=True, check=False
    )
    if told.returncode:
        pytest.skip(f"no small disk can be mounted here: {told.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 36 KiB."""
    mount("-t", "tmpfs", "-o", "size=36k", "tmpfs", str(tmp_path))
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_is_named_and_the_search_goes_on(disk: Path) -> None:
    folder = disk / "run"
    with pytest.raises(OSError, match="disk is full") as caught:
        search(CONFIG, folder)
    assert str(caught.value).startswith(f"{folder}/events.db: cannot append")
    assert "make room, then go on: " in _way_out(caught.value)
    before = read_events(folder / "events.db")
    assert len(before) > 3
    mount("-o", "remount,size=50m", str(disk))
    resume(folder)
    assert read_events(folder / "events.db")[: len(before)] == before
    assert load_run(folder).trials["status"].tolist() == ["complete"] * 30


def test_a_log_that_may_not_grow_ends_the_search_in_one_line(tmp_path: Path) -> None:
    """As where a quota is used up: SQLite calls it an I/O error."""
    folder = tmp_path / "run"
    settings = [
        "evaluators=[complexity]", "objectives={flops: min, params: min}",
        "reference_point=null", "stopper=none", "sampler=random", "trials=30",
    ]  # fmt: skip
    words = [word for setting in settings for word in ("--set", setting)]
    program = [sys.executable, str(ROOT / "run_search.py"), "search", "quick"]
    limited = ["bash", "-c", 'ulimit -f 28; exec "$@"', "bash"]
    ended = subprocess.run(
        [*limited, *program, "--serial", *words, "--out", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"error: {folder}/events.db: cannot append")
    assert "make room, then go on: " in line
    before = read_events(folder / "events.db")
    assert len(before) > 3
    resume(folder, serial=True)
    assert read_events(folder / "events.db")[: len(before)] == before
    assert load_run(folder).trials["status"].tolist() == ["complete"] * 30


def test_other_errors_have_no_advice() -> None:
    assert not _way_out(OSError(13, "Permission denied", "x"))
    assert "make room" in _way_out(OSError(28, "No space left on device", "x"))
