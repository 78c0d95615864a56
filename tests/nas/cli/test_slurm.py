"""The job script for Slurm: well-formed, the one that the documents show, refused where it could not work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nas.cli.commands import main

ROOT = Path(__file__).parents[3]


def script(*words: str) -> str:
    shown = CliRunner().invoke(main, ["slurm", *words])
    assert shown.exit_code == 0, shown.output
    return shown.output


def test_the_documents_show_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("trials: 8")
    monkeypatch.chdir(tmp_path)
    options = ["--nodes", "4", "--gpus", "8", "--sbatch", "--account=mine"]
    written = script("mine.yaml", *options, "--out", "/scratch/me/runs/mine")
    written = written.replace(str(tmp_path), "/home/me/search")
    written = written.replace(str(Path(sys.executable).parent), "/home/me/.venv/bin")
    assert f"```bash\n{written}```\n" in (ROOT / "docs" / "cluster.md").read_text()


@pytest.mark.parametrize("resource", ["null", "latency_gpu"])
def test_bash_takes_it_and_settings_arrive_as_they_were_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resource: str
) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    hostile = "data={name: folder, root: 'a; $(touch wrong) b'}"
    text = script(
        "quick", "--nodes", "2", "--set", hostile, "--set", f"latency.resource={resource}"
    )  # fmt: skip
    assert ("latency_gpu" in text.replace("latency.resource=latency_gpu", "")) == (
        resource == "latency_gpu"
    )
    # only the driver's command line is run, with a program that prints its arguments
    lines = [
        line
        for line in text.splitlines()
        if line.startswith(("cd ", "export PATH=", "if [ -f"))
    ]
    program = "\n".join([*lines, "printf '%s\\n' \"$@\""])
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    told = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, check=True
    )
    words = [
        "search",
        "quick",
        "--set",
        hostile,
        "--set",
        f"latency.resource={resource}",
    ]
    assert told.stdout.splitlines() == [*words, "--out", "runs/quick"]
    assert not (folder / "wrong").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "engine=serial"], "engine serial: several nodes need the engine ray"),
        (["--set", "latency.resource=latency_gpu"], "latency.resource: a node of its own"),
        (["--nodes", "2", "--set", "latency.resource='$(rm)'"], "it is of letters, digits"),
        (["--set", "resources.gpus=0.5"], "resources.gpus: a trial wants 0.5 GPUs"),
    ],
)  # fmt: skip
def test_what_the_nodes_cannot_do_is_refused(words: list[str], message: str) -> None:
    refused = CliRunner().invoke(main, ["slurm", "quick", *words])
    assert refused.exit_code == 2
    assert message in refused.stderr
