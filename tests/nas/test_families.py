"""A search over several families, from settings to a pick and on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import nas
from nas.cli.commands import main
from nas.prepare import prepare_for_others
from results import load_run
from search_spaces import arch_from_dict, complexity

SETTINGS = """
space:
  - {name: resnest, depth1: 1, depth2: 1, depth3: 1, depth4: 1, width1: 8, width2: [8, 16], width3: 16, width4: 32}
  - {name: regnety, depth: [8, 9], w0: 8, group_width: 8, stem_width: 16, attention: [se, split]}
objectives: {accuracy: max, macs: min}
evaluators: [complexity, training]
data: {name: digits, subset: 120}
training: {epochs: 1}
trials: 28
engine: serial
"""


def test_families_are_searched_together_and_resumed(tmp_path: Path) -> None:
    file = tmp_path / "families.yaml"
    file.write_text(SETTINGS)
    nas.search(nas.load_config(str(file)), tmp_path / "run")
    run = nas.resume(tmp_path / "run", ["trials=30"])
    trials = run.trials
    assert len(trials) == 30
    assert set(trials["space"]) == {"resnest", "regnety"}
    assert (trials["arch.family"] == trials["space"]).all()
    # the knobs of the other family are missing, never a made-up value
    assert trials.loc[trials["space"] == "resnest", "arch.regnety.depth"].isna().all()
    assert trials.loc[trials["space"] == "regnety", "arch.regnety.depth"].notna().all()
    chosen = load_run(tmp_path / "run").select(maximize="accuracy")
    assert arch_from_dict(chosen.arch).id == chosen.row["arch_id"]


def test_the_knobs_of_a_union_are_shown_by_family() -> None:
    found = CliRunner().invoke(main, ["spaces", "cifar10-families", "--json"])
    [answer] = json.loads(found.output)["spaces"]
    assert answer["knobs"]["family"] == ["resnest", "regnety", "fbnetv2"]
    assert answer["knobs"]["regnety.w0"] == [8, 16, 24, 32]
    assert "fbnetv2_f0" in answer["networks"]
    table = CliRunner().invoke(main, ["spaces", "cifar10-families"])
    assert "resnest.radix" in table.output


def test_the_preset_of_families_is_a_space() -> None:
    assert set(nas.load_config("cifar10-families").space.build().knobs()["family"]) == {
        "resnest",
        "regnety",
        "fbnetv2",
    }


@pytest.mark.parametrize("sampler", ["random", "evolution", "tpe", "nsga2"])
def test_every_sampler_searches_a_union(sampler: str, tmp_path: Path) -> None:
    file = tmp_path / "families.yaml"
    file.write_text(SETTINGS)
    own = ["objectives={macs: min, params: min}", "limits.macs=[1.0e+5, 1.5e+6]"]
    config = nas.load_config(
        str(file), [f"sampler={sampler}", "evaluators=[complexity]", *own]
    )
    prepared = prepare_for_others(config)
    found = []
    while len(found) < 20:
        proposal = prepared.proposer.ask()
        assert proposal is not None
        if proposal.duplicate_of is not None:  # Optuna's may propose one again
            continue
        cost = complexity(proposal.arch, prepared.task)
        assert 1e5 <= cost.macs <= 1.5e6
        told = {"macs": cost.macs, "params": cost.params}
        prepared.proposer.tell(proposal.trial, "complete", told)
        found.append(proposal.arch)
    assert len({arch.id for arch in found}) == 20
    assert {arch.space for arch in found} == {"resnest", "regnety"}
