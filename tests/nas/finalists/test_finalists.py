"""The best networks of a search trained in full, through the same door as a user's."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import nas
from nas.cli.commands import main
from nas.finalists.finalists import finalists
from nas.finalists.lineup import Role
from nas.finalists.outcome import Finals
from nas.finalists.plan import plan_finalists
from results import Event, EventLog, load_run, pareto_front
from results.log.events import Noted
from results.metrics import CLOCKS
from results.runs.finalists import load_finalists, load_outcome
from search_spaces import get_space
from tests.nas.finalists.few import HOW


@pytest.fixture(scope="module")
def finals(searched: Path) -> Finals:
    return finalists(searched, overrides=HOW)


def test_the_front_is_that_of_full_trainings(finals: Finals, searched: Path) -> None:
    table = finals.networks
    done = table[table["status"] == "complete"]
    assert len(done) < len(table)
    # of four finalists two go on after half of the training, of two random networks one
    assert done["role"].value_counts().to_dict() == {"finalist": 2, "random": 1} | (
        {"published": 1} if (table["role"] == "published").any() else {}
    )
    front = pareto_front(done, {"accuracy": "max", "macs": "min"})
    assert set(front["arch_id"]) == set(finals.front["arch_id"])
    stopped = table[table["status"] == "stopped"]
    assert (stopped["epochs"] == 1).all()
    assert (done["epochs"] == 2).all()
    assert finals.verdict[0] in (searched / "report.html").read_text()


def test_every_seed_counts_and_every_number_is_in_the_log(finals: Finals) -> None:
    trials = load_run(finals.folder).trials
    done = trials[trials["status"] == "complete"]
    means = done.groupby("arch_id")["accuracy"].mean()
    for row in finals.networks[finals.networks["status"] == "complete"].to_dict(
        "records"
    ):
        assert row["accuracy"] == pytest.approx(means[row["arch_id"]])
        seeds = done.loc[done["arch_id"] == row["arch_id"], "seed"]
        assert sorted(seeds) == list(range(row["seeds"]))


def test_what_is_too_close_to_call_is_trained_once_more(finals: Finals) -> None:
    def close(rows: list[dict[str, Any]]) -> set[str]:
        """Pairs, one no dearer, of which images do not tell the better: by the binomial error, one by one."""
        found = set()
        for one, other in itertools.permutations(rows, 2):
            off = abs(one["accuracy"] - other["accuracy"])
            error = math.hypot(one["accuracy_error"], other["accuracy_error"])
            if one["macs"] <= other["macs"] and off < 1.64 * error:
                found |= {one["arch_id"], other["arch_id"]}
        return found

    done = finals.networks[finals.networks["status"] == "complete"]
    trials = load_run(finals.folder).trials
    first = trials[trials["seed"] == 0].set_index("arch_id")["accuracy"]
    shares = (done["arch_id"].map(first) * 75 + 2) / 79
    once = done.assign(
        accuracy=done["arch_id"].map(first),
        accuracy_error=np.sqrt(shares * (1 - shares) / 79),
    )
    twice = set(done.loc[done["seeds"] == 2, "arch_id"])
    assert close(once.to_dict("records"))
    assert close(once.to_dict("records")) <= twice
    # whom a second training did not settle either has had all its seeds
    assert close(done.to_dict("records")) <= twice
    assert len(twice) < len(done)


def test_no_listener_fails_at_the_end(finals: Finals) -> None:
    with EventLog(finals.folder / "events.db") as log:
        notes = [event for event in log if isinstance(event.content, Noted)]
    assert not notes


def test_the_outcome_is_on_disk(finals: Finals, searched: Path) -> None:
    told = load_outcome(searched)
    assert told is not None
    assert told.verdict == finals.verdict
    assert list(told.networks["network"]) == list(finals.networks["network"])
    assert load_outcome(finals.folder) is None
    (searched.parent / "finalists").mkdir()
    (searched.parent / "finalists" / "finalists.json").write_text("{}")
    with pytest.raises(ValueError, match=r"finalists\.json: cannot be read"):
        load_outcome(searched.parent)


def test_all_images_are_trained_on(finals: Finals, searched: Path) -> None:
    first = json.loads((searched / "environment.json").read_text())["images"]["images"]
    then = json.loads((finals.folder / "environment.json").read_text())["images"][
        "images"
    ]
    assert (sum(first.values()), sum(then.values())) == (150, 300)


def test_each_network_is_a_model_folder(finals: Finals, tmp_path: Path) -> None:
    row = finals.front.iloc[0]
    checks = nas.export(
        finals.model_folder(row["arch_id"]),
        tmp_path / "model",
        onnx=False,
        program=False,
    )
    assert checks == {}
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_select_works_on_finalists(
    finals: Finals, searched: Path, tmp_path: Path
) -> None:
    def select(*options: str) -> tuple[str, dict[str, object]]:
        out = tmp_path / "selected.json"
        found = CliRunner().invoke(
            main, ["select", str(searched), "--out", str(out), *options]
        )
        return found.output, json.loads(out.read_text())

    text, picked = select()
    assert "trained in full" in text
    assert picked["arch_id"] == finals.front.iloc[0]["arch_id"]
    text, picked = select("--proxy")
    assert picked["arch_id"] == load_run(searched).front().iloc[0]["arch_id"]
    assert load_finalists(searched) is not None


def test_the_search_hears_of_its_finalists(finals: Finals, searched: Path) -> None:
    told = load_run(searched).retrained
    done = finals.networks[finals.networks["status"] == "complete"]
    assert set(told["trial"]) == set(done["search_trial"].dropna())


def steady(finals: Finals) -> pd.DataFrame:
    clocks = [*CLOCKS, "started", "finished"]
    return finals.networks.drop(columns=clocks, errors="ignore")


def interrupted_after(events: int) -> Callable[[Event], None]:
    left = [events]

    def listen(event: Event) -> None:
        left[0] -= event.kind == "epoch"
        if left[0] == 0:
            raise KeyboardInterrupt

    return listen


def test_interrupted_again_and_again_it_ends_the_same(
    finals: Finals, run: Path
) -> None:
    for epochs in (2, 3, 1):
        cut = finalists(run, overrides=HOW, listeners=[interrupted_after(epochs)])
        assert len(cut.networks)
    whole = finalists(run, overrides=HOW)
    pd.testing.assert_frame_equal(steady(whole), steady(finals))
    assert whole.verdict == finals.verdict


def test_an_own_baseline_that_wins_is_told_first(run: Path, tmp_path: Path) -> None:
    # much larger than what is searched, inside the limits nevertheless
    space = get_space(
        "resnest", depth1=1, depth2=1, depth3=1, depth4=1, width1=16, width2=16, width3=32, width4=32,
        radix=1, cardinality=1, bottleneck_width=64, stem_width=8, deep_stem=False, avd=False, avd_first=False,
    )  # fmt: skip
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps(space.sample(np.random.default_rng(0)).to_dict()))
    how = ("networks=1", "epochs=2", "random=0", "published=false", "seeds=1")
    found = finalists(run, overrides=(*how, f"baselines=[{mine}]"))
    ours, theirs = (
        found.networks.set_index("role")["accuracy"][role]
        for role in ("finalist", "own")
    )
    assert found.verdict[0].startswith(
        "A BASELINE WINS" if theirs > ours else "The best of"
    )


def test_other_settings_do_not_mix(finals: Finals, searched: Path) -> None:
    with pytest.raises(ValueError, match="began with another training"):
        plan_finalists(searched, (*HOW, "epochs=3"))
    with pytest.raises(ValueError, match=r"began with another finalists\.networks"):
        plan_finalists(searched, (*HOW, "networks=3"))
    with pytest.raises(ValueError, match="holds finalists"):
        nas.resume(finals.folder)


@pytest.mark.slow
def test_killed_ten_times_it_ends_the_same(finals: Finals, run: Path) -> None:
    command = [sys.executable, "run_search.py", "finalists", str(run), "--serial"]
    command += [part for each in HOW for part in ("--set", each)]
    rng = np.random.default_rng(0)
    started = time.monotonic()
    subprocess.run(
        [*command[:3], str(shutil.copytree(run, run.with_name("timed"))), *command[4:]],
        check=True,
        capture_output=True,
    )
    whole = time.monotonic() - started
    for _ in range(10):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.1, 0.6) * whole)
        process.kill()
        process.wait()
    subprocess.run(command, check=True, capture_output=True)
    told = json.loads((run / "finalists" / "finalists.json").read_text())
    once = json.loads((finals.folder / "finalists.json").read_text())
    for row in (*told["networks"], *once["networks"]):
        for name in CLOCKS:
            row.pop(name, None)
    assert told == once


def test_a_search_that_is_over_can_be_told_what_size_is_worth(run: Path) -> None:
    work = plan_finalists(run, (*HOW, "size_gain=0.9"))
    trials = load_run(run).complete
    chosen = [each.trial for each in work.entrants if each.role == Role.FINALIST]
    worth = trials["accuracy"] + 0.9 * np.log2(trials["params"])
    assert chosen[0] == trials.loc[worth.idxmax(), "trial"]
    with pytest.raises(ValueError, match="began with another size_gain"):
        plan_finalists(run, HOW)
