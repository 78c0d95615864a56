"""From a file of settings to a model folder by one command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import nas
from evaluators import load_model
from nas.cli.commands import main

SETTINGS = """
space:
  - {name: resnest, depth1: 1, depth2: 1, depth3: 1, depth4: 1, width1: 8, width2: [8, 16], width3: [16, 32],
     width4: 16, stem_width: 8, deep_stem: false}
  - {name: regnety, depth: [8, 9], w0: 8, group_width: 8, stem_width: 16, attention: [se, split]}
objectives: {accuracy: max, macs: min}
limits: {macs: 1.0e+6}
evaluators: [complexity, training]
data: {name: "tests.nas.finalists.few:few_digits", subset: 150}
training: {epochs: 1}
trials: 4
engine: serial
finalists: {networks: 2, training: {epochs: 1, batch_size: 64}, random: 1, published: false, seeds: 1}
select: {maximize: accuracy, under: {macs: 1.0e+6}}
"""


def type_in(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_settings_to_model_folder_and_again(tmp_path: Path) -> None:
    file, run = tmp_path / "mine.yaml", tmp_path / "run"
    file.write_text(SETTINGS)
    found = type_in("search", file, "--out", run)
    assert found.exit_code == 0, found.output
    table = json.loads((run / "finalists" / "finalists.json").read_text())
    done = [row for row in table["networks"] if row["status"] == "complete"]
    best = max(done, key=lambda row: row["accuracy"])
    model = load_model(run / "model")
    assert json.loads((run / "model" / "arch.json").read_text())
    assert best["network"] in found.output
    told = "training in full: 2 networks of the search and 1 baseline"
    assert told in found.output
    search, finals = found.output.split(told)
    assert "Pareto front" in search
    # what to type next is said once, at the end
    assert "pick " not in search
    assert "go on " not in search
    assert "pick " in finals
    assert model.task.num_classes == 10
    # a kill after the search, or after the finalists: resume does what is left, and trains nothing twice
    again = type_in("resume", run)
    assert again.exit_code == 0, again.output
    assert "trained in full" in again.output.lower()
    assert json.loads((run / "finalists" / "finalists.json").read_text()) == table


BAD = {
    "finalists=null": "select is of finalists",
    "finalists.networks=5": "finalists.networks 5 is more than all 4 trials",
    "select.most=accuracy": "select.most",
    "finalists.seeds=0": "finalists.seeds",
}


@pytest.mark.parametrize("override", BAD)
def test_settings_that_contradict_each_other(tmp_path: Path, override: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SETTINGS)
    with pytest.raises(ValueError, match=BAD[override]):
        nas.load_config(str(file), [override])
