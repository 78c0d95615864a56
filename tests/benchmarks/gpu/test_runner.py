from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu.__main__ import EVIDENCE
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.runner import Row, read_rows, run_all
from benchmarks.gpu.setting import Figures, Goal, MissingError, Part, Setting
from benchmarks.gpu.table import page, table

CPU = Setting(torch.device("cpu"), tiny=True)


def rows(folder: Path, *parts: Part, setting: Setting = CPU, **more: Any) -> list[Row]:
    options = {"minutes": 5.0, "tell": lambda row: None} | more
    return run_all(parts, setting, folder / "rows.jsonl", **options)


def seven(setting: Setting) -> Figures:
    return {"figure": 7.0}


def missing(setting: Setting) -> Figures:
    raise MissingError("needs what is not here")


def broken(setting: Setting) -> Figures:
    raise KeyError("no such thing")


def memory(setting: Setting) -> Figures:
    torch.empty(2**62, dtype=torch.uint8)
    return {}


def killed(setting: Setting) -> Figures:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def hanging(setting: Setting) -> Figures:
    child = subprocess.Popen(["sleep", "60"])
    Path(os.environ["CHILD"]).write_text(str(child.pid))
    time.sleep(60)
    return {}


@pytest.mark.parametrize(
    ("run", "status", "reason"),
    [
        (seven, "measured", ""),
        (missing, "missing", "needs what is not here"),
        (
            broken,
            "failed",
            "KeyError: 'no such thing' (tests/benchmarks/gpu/test_runner.py:",
        ),
        (memory, "out of memory", "RuntimeError: "),
        (killed, "failed", "the process died (SIGKILL)"),
    ],
)
def test_a_part_gives_figures_or_one_line_why_not(
    tmp_path: Path, run: Any, status: str, reason: str
) -> None:
    (row,) = rows(tmp_path, Part("it", run))
    assert row.status == status
    assert row.reason.startswith(reason)
    assert "\n" not in row.reason
    assert read_rows(tmp_path / "rows.jsonl") == [row]


def test_a_part_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHILD", str(tmp_path / "child"))
    hung, after = rows(tmp_path, Part("it", hanging, limit=2), Part("next", seven))
    assert (hung.status, hung.reason) == ("out of time", "not done after 2 s")
    assert after.status == "measured"
    stat = Path("/proc") / (tmp_path / "child").read_text() / "stat"
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    parts = Part("a", seven), Part("b", broken), Part("c", missing)
    first = rows(tmp_path, *parts)
    again = rows(tmp_path, Part("a", broken), Part("b", seven), Part("c", seven))
    assert again[0] == first[0]
    assert again[1].figures == {"figure": 7.0}
    assert again[2].figures == {"figure": 7.0}, "what was missing may be there now"


def test_a_line_cut_short_is_left_out(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, Part("a", seven))
    file = tmp_path / "rows.jsonl"
    file.write_text(file.read_text() + '{"part": "b", "sta')
    assert read_rows(file) == [row]
    (other,) = rows(tmp_path, Part("b", seven))
    assert read_rows(file) == [row, other], "nor does it swallow the next"


def test_the_whole_has_an_end(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, Part("a", seven), minutes=0.0)
    assert row.status == "not reached"
    assert not (tmp_path / "rows.jsonl").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_without_a_gpu_says_so(tmp_path: Path) -> None:
    setting = Setting(torch.device("cuda", 0))
    with pytest.raises(MissingError, match=r"needs a GPU: torch .* sees none"):
        rows(tmp_path, Part("a", seven), setting=setting)
    assert not list(tmp_path.iterdir())


def test_the_table_says_what_was_wanted() -> None:
    goals = Goal("speed", least=1.5), Goal("error", most=0.1)
    figures = {"speed": 2.0, "error": 0.25}
    row = Row("part", "measured", figures, "", 3.0, "card", "2.13.0", False)
    told = table([row], [Part("part", seven, goals=goals)])
    assert told.splitlines()[2] == (
        "| part | speed 2, error 0.25 | speed at least 1.5: met; error at most 0.1: **missed** | 3 |"
    )


def test_the_page_in_the_evidence_is_of_its_file(tmp_path: Path) -> None:
    assert (EVIDENCE / "gpu.md").read_text() == page(EVIDENCE / "gpu.jsonl", PARTS)
    file = tmp_path / "rows.jsonl"
    row = Row("check lock", "measured", {}, "", 3.0, "A card", "2.11.0", False)
    dry = Row("check lock", "measured", {}, "", 3.0, "A CPU", "2.11.0", True)
    file.write_text("".join(json.dumps(vars(each)) + "\n" for each in (row, dry)))
    told = page(file, PARTS)
    assert "## A card, torch 2.11.0" in told
    assert "| check lock | holds |" in told
    assert "A CPU" not in told


def test_names_are_names_and_limits_hold_the_time() -> None:
    names = [part.name for part in PARTS]
    assert len(set(names)) == len(names)
    assert all(part.limit <= 1500 for part in PARTS)
