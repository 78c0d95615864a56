"""On a machine with torch, numpy, Pillow and pyarrow the check of a GPU runs, and says what it would need more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.bare_machine import blocked

PROGRAM = """
import sys
from benchmarks.gpu.__main__ import main
sys.argv[1:] = {arguments}
code = main()
assert not ABSENT & sys.modules.keys(), ABSENT & sys.modules.keys()
sys.exit(code)
"""
ONLY = ("check accumulation", "split-attention eager", "latency of timm", "search")


def test_runs_with_four_packages(tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    arguments = ["--dry-run", "--out", str(out), "--only", *ONLY]
    done = subprocess.run(
        [sys.executable, "-c", blocked() + PROGRAM.format(arguments=arguments)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["status"] for row in rows] == ["measured"] + ["missing"] * 3
    assert [row["reason"].partition(":")[0] for row in rows[1:]] == [
        "needs resnest",
        "needs timm",
        "needs click and moocore and optuna and pandas and plotly and pydantic and yaml",
    ]
