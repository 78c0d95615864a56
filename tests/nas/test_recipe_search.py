"""Settings of the training searched with the networks, from the file to the retraining."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import nas
from evaluators import Recipe
from nas.cli.commands import main
from nas.config.loading import validate
from nas.finalists.plan import plan_finalists
from nas.prepare import prepare, prepare_for_others
from nas.retraining.plan import make_plan
from results import load_run
from search_spaces import arch_from_dict
from search_spaces.joint import network_of, settings_of

SETTINGS = """
space: {name: resnest, depth1: 1, depth2: 1, depth3: 1, depth4: 1, width1: 8, width2: 8, width3: 16,
        width4: [16, 32], stem_width: 8, deep_stem: false, avg_down: true, avd: false, avd_first: false,
        bottleneck_width: 64, radix: [1, 2], cardinality: 1}
objectives: {accuracy: max, macs: min}
evaluators: [complexity, training]
data: {name: "tests.nas.finalists.few:few_digits", subset: 150}
training: {epochs: 1, optimizer: muon, lr: [0.1, 0.4], augment: {shift: [0, 1]}}
trials: 14
engine: serial
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "mine.yaml").write_text(SETTINGS)
    nas.search(nas.load_config(str(folder / "mine.yaml")), folder / "run")
    return folder / "run"


def test_a_network_with_another_recipe_is_another_trial(searched: Path) -> None:
    trials = load_run(searched).trials
    assert (trials["status"] == "complete").all()
    assert not trials.duplicated("arch_id").any()
    archs = [arch_from_dict(json.loads(text)) for text in trials["arch"]]
    # of four networks, so that some come with several recipes
    assert len({network_of(arch).id for arch in archs}) == 4
    for arch, row in zip(archs, trials.to_dict("records"), strict=True):
        chosen = {
            "lr": row["training.lr"],
            "augment.shift": row["training.augment.shift"],
        }
        assert settings_of(arch) == chosen
        assert row["arch_id"] == arch.id
    rates = load_run(searched).epochs.set_index("trial")["learning_rate"]
    ratio = (
        rates[trials["training.lr"] == 0.4].max()
        / rates[trials["training.lr"] == 0.1].max()
    )
    assert ratio == pytest.approx(4)


def test_the_search_goes_on_to_the_end_of_the_space(searched: Path) -> None:
    run = nas.resume(searched, ["trials=99"])
    assert len(run.trials) == 4 * 2 * 2
    assert run.ended == "the space holds no further networks"
    assert not run.trials.duplicated("arch_id").any()


def test_settings_survive_their_file(searched: Path) -> None:
    config = nas.load_config(str(searched / "config.yaml"))
    assert config.search_space.knobs()["training.lr"] == (0.1, 0.4)
    assert validate(config.model_dump(mode="json"), "again") == config


@pytest.mark.parametrize("sampler", ["random", "evolution", "tpe", "nsga2"])
def test_every_sampler_searches_recipes(sampler: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(SETTINGS)
    config = nas.load_config(
        str(file), [f"sampler={sampler}", "evaluators=[complexity]"]
    )
    costs = config.model_copy(update={"objectives": {"macs": "min"}})
    proposer = prepare_for_others(costs).proposer
    found = [proposer.ask() for _ in range(12)]
    assert len({settings_of(each.arch)["lr"] for each in found if each}) == 2


def test_a_retraining_is_by_the_recipe_of_its_trial(
    searched: Path, tmp_path: Path
) -> None:
    trials = load_run(searched).trials
    for row in trials.to_dict("records"):
        plan, _ = make_plan(str(searched), trial=int(row["trial"]))
        assert plan.recipe.lr == row["training.lr"]
        assert plan.recipe.augment.shift == row["training.augment.shift"]
        # a rate found for Muon; the preset says nothing of the optimiser
        assert plan.recipe.optimizer == "muon"
        assert plan.recipe.epochs == 30
        assert plan.network.id == network_of(arch_from_dict(json.loads(row["arch"]))).id
    by_hand, _ = make_plan(str(searched), trial=int(row["trial"]), overrides=["lr=0.3"])
    assert (by_hand.recipe.lr, by_hand.recipe.optimizer) == (0.3, "muon")
    out = tmp_path / "selected.json"
    answer = CliRunner().invoke(main, ["select", str(searched), "--out", str(out)])
    assert answer.exit_code == 0, answer.output
    chosen = settings_of(arch_from_dict(json.loads(out.read_text())["arch"]))
    plan, _ = make_plan(str(out))
    assert plan.recipe.lr == chosen["lr"]


def test_finalists_train_by_their_own_recipes_and_baselines_by_the_best_ones(
    searched: Path,
) -> None:
    how = ("networks=3", "epochs=2", "random=2", "published=false")
    work = plan_finalists(searched, how)
    for entrant in work.entrants:
        recipe = work.training.job(entrant.arch, 0).plan.recipe
        assert isinstance(recipe, Recipe)
        assert recipe.lr == settings_of(entrant.arch)["lr"]
        assert (recipe.epochs, recipe.optimizer) == (2, "muon")
    first, *others = work.entrants
    for each in others:
        if each.role != "finalist":
            assert settings_of(each.arch) == settings_of(first.arch)


def test_a_network_to_begin_with_gets_the_first_of_each(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(SETTINGS)
    start = tmp_path / "start.json"
    network = nas.load_config(str(mine)).space.build()
    start.write_text(json.dumps(network.sample(np.random.default_rng(3)).to_dict()))
    config = nas.load_config(str(mine), [f"start_from=[{start}]"])
    proposal = prepare(config).proposer.ask()
    assert proposal is not None
    assert settings_of(proposal.arch) == {"lr": 0.1, "augment.shift": 0}


BAD = {
    "training.epochs=[1, 2]": r"training\.epochs: cannot be a list of choices",
    "training.lr=[]": r"training\.lr: has no choices",
    "training.lr=[0.1, -1]": r"training\.lr: must be",
    "training.augment.shift=[0, x]": r"training\.augment\.shift: must be",
    "evaluators=[complexity]": r"training\.lr: is a list of choices, and nothing is trained",
}


@pytest.mark.parametrize("override", BAD)
def test_bad_choices_are_refused_in_one_line(override: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(SETTINGS)
    more = ["--set", "objectives={macs: min}"]
    command = ["search", str(mine), "--out", str(tmp_path / "run"), *more]
    answer = CliRunner().invoke(main, [*command, "--set", override])
    assert answer.exit_code == 2
    assert re.search(BAD[override], answer.output)
    assert not (tmp_path / "run").exists()
