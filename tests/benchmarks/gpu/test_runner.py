from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.gpu.__main__ import EVIDENCE, main
from benchmarks.gpu.parts import PARTS
from benchmarks.gpu.processes import call_in_process, wait_for
from benchmarks.gpu.runner import Row, read_rows, run_all
from benchmarks.gpu.setting import Figures, Goal, MissingError, Part, Setting
from benchmarks.gpu.table import found, page, table

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
    hung, after = rows(tmp_path, Part("it", hanging, limit=1), Part("next", seven))
    assert (hung.status, hung.reason) == ("out of time", "not done after 10 s")
    assert after.status == "measured"
    assert not lives((tmp_path / "child").read_text())


def lives(pid: str) -> bool:
    stat = Path("/proc") / pid / "stat"
    return stat.exists() and stat.read_text().split()[2] != "Z"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_runner_that_is_ended_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    child = tmp_path / "child"
    monkeypatch.setenv("CHILD", str(child))
    runner = multiprocessing.get_context("fork").Process(
        target=rows, args=(tmp_path, Part("it", hanging))
    )
    runner.start()
    wait_until(lambda: child.exists() and bool(child.read_text()))
    os.kill(runner.pid or 0, how)
    runner.join()
    wait_until(lambda: not lives(child.read_text()))


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "that never came"
        time.sleep(0.05)


def test_a_process_beside_that_dies_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match=r"a process died \(SIGABRT\)"):
        call_in_process(os.abort)
    worker = multiprocessing.get_context("fork").Process(target=sys.exit, args=(3,))
    worker.start()
    with pytest.raises(RuntimeError, match=r"a process beside died \(exit code 3\)"):
        wait_for(lambda: False, [worker])


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    parts = Part("a", seven), Part("b", broken), Part("c", missing)
    first = rows(tmp_path, *parts)
    again = rows(tmp_path, Part("a", broken), Part("b", seven), Part("c", seven))
    assert again[0] == first[0]
    assert again[1].figures == {"figure": 7.0}
    assert again[2].figures == {"figure": 7.0}, "what was missing may be there now"


def test_noise_and_cifar_are_two_questions(tmp_path: Path) -> None:
    parts = Part("a", seven, images=True), Part("b", seven)
    noise = rows(tmp_path, *parts)
    real = replace(CPU, data=tmp_path)
    again = rows(tmp_path, *parts, setting=real)
    assert [row.data for row in (*noise, *again)] == ["noise", "", "CIFAR-10", ""]
    assert again[1] == noise[1], "no images, so it is the same question"
    assert len(read_rows(tmp_path / "rows.jsonl")) == 3


def told_data(setting: Setting) -> Figures:
    return {"data": str(setting.data)}


def test_a_part_without_images_sees_none(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, Part("a", told_data), setting=replace(CPU, data=tmp_path))
    assert row.figures == {"data": "None"}


@pytest.mark.parametrize("line", ["[]", '{"part": "a"}', "7"])
def test_a_line_that_is_no_row_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "rows.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match="line 1: no row of this check"):
        rows(tmp_path, Part("a", seven))


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


def told_seconds(setting: Setting) -> Figures:
    return {"seconds": setting.seconds}


def test_time_is_kept_for_what_is_worth_it(tmp_path: Path) -> None:
    last = Part("last", told_seconds, limit=1000, reserved=0.4)
    told: list[Row] = []
    first, second = rows(
        tmp_path,
        Part("first", told_seconds, limit=1000),
        last,
        minutes=10.0,
        tell=told.append,
    )
    assert 300 < float(first.figures["seconds"]) < 360
    assert 540 < float(second.figures["seconds"]) < 600, "with what the first left"
    assert told == [first, second]


def test_what_gave_way_comes_after(tmp_path: Path) -> None:
    told: list[Row] = []
    parts = Part("first", seven), Part("last", seven, reserved=1.0)
    rows(tmp_path, *parts, tell=told.append)
    assert [row.part for row in told] == ["last", "first"]
    assert [row.status for row in told] == ["measured", "measured"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_without_a_gpu_says_so(tmp_path: Path) -> None:
    setting = Setting(torch.device("cuda", 0))
    with pytest.raises(MissingError, match=r"there is no device .*sees no GPU"):
        rows(tmp_path, Part("a", seven), setting=setting)
    assert not list(tmp_path.iterdir())


def test_the_table_says_what_was_wanted() -> None:
    goals = Goal("speed", least=1.5), Goal("error", most=0.1)
    figures = {"speed": 2.0, "error": 0.25}
    row = Row("part", "measured", figures, "", 3.0, "", "card", "2.13.0", False)
    told = table([row], [Part("part", seven, goals=goals)])
    assert told.splitlines()[2] == (
        "| part |  | speed 2, error 0.25 | speed at least 1.5: met; error at most 0.1: **missed** | 3 |"
    )


def test_the_page_in_the_evidence_is_of_its_file(tmp_path: Path) -> None:
    assert (EVIDENCE / "gpu.md").read_text() == page(EVIDENCE / "gpu.jsonl", PARTS)
    file = tmp_path / "rows.jsonl"
    row = Row("proxy", "measured", {}, "", 3.0, "noise", "A card", "2.11.0", False)
    dry = Row("proxy", "measured", {}, "", 3.0, "noise", "A CPU", "2.11.0", True)
    file.write_text("".join(json.dumps(vars(each)) + "\n" for each in (row, dry)))
    told = page(file, [Part("proxy", seven), Part("search", seven)])
    assert "## A card, torch 2.11.0" in told
    assert "| proxy | noise | holds |" in told
    assert "Not run: search." in told
    assert "A CPU" not in told


def test_a_dry_run_says_no_more_than_that_it_ran() -> None:
    dry = Row("check lock", "measured", {}, "", 3.0, "", "A CPU", "2.11.0", True)
    assert found(dry) == "ran"
    assert found(replace(dry, tiny=False)) == "holds"


def test_names_are_names_and_the_search_has_its_time() -> None:
    names = [part.name for part in PARTS]
    assert len(set(names)) == len(names)
    assert sum(part.reserved for part in PARTS) == PARTS[-1].reserved == 0.4
    assert PARTS[-1].name == "search"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "foo"], "--device: there is no 'foo'"),
        (["--device", "cpu"], "--device: cpu is no GPU; --dry-run runs on the CPU"),
        (["--out", "."], "--out: . cannot be written: Is a directory"),
        (["--only", "search", "nosuch"], "--only: no part is called 'nosuch'"),
        (["--data", "nosuch"], "--data: nosuch is no folder"),
        (["--minutes", "0"], "--minutes: 0 must be above 0"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks.gpu", *arguments])
    assert main() == 2
    told = capsys.readouterr()
    assert told.err.startswith(words)
    assert len(told.err.splitlines()) == 1
    assert told.out == ""
