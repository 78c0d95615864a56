"""What ``evolution`` is told beforehand: earlier runs, and beliefs about knobs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from nas.problem import Problem
from nas.samplers.base import Outcome
from nas.samplers.beliefs import Beliefs
from nas.samplers.earlier import EarlierRun
from nas.samplers.proposer import Proposer
from nas.samplers.registry import make_sampler
from nas.samplers.surrogate import Candidate, Observation, Surrogate
from results import load_front, load_run
from search_spaces import arch_from_dict, get_space

RUN = Path(str(load_front("cifar10-small-random").path))
CONFIG = yaml.safe_load((RUN / "config.yaml").read_text())
SPACE = get_space(**CONFIG["space"])
PROBLEM = Problem(SPACE, {"accuracy": "max", "macs": "min"})
TRIALS = load_run(RUN).trials


def run_with(folder: Path, accuracy: Any) -> str:
    """A published run with other accuracies."""
    shutil.copytree(RUN, folder)
    table = pq.read_table(folder / "trials.parquet")
    column = table.column_names.index("accuracy")
    changed = table.set_column(column, "accuracy", pa.array(np.asarray(accuracy)))
    pq.write_table(changed, folder / "trials.parquet")
    return str(folder)


ARCHS = [arch_from_dict(json.loads(arch)) for arch in TRIALS["arch"]]


def accuracies() -> Any:
    """Smooth in five knobs, of all networks of the run."""
    knobs = pd.DataFrame(SPACE.params(arch) for arch in ARCHS)
    sizes = knobs["depth3"] * 0.04 + knobs["width2"] * 0.004
    gates = (knobs["radix"] - 2).abs() * -0.03 + knobs["deep_stem"] * 0.08
    return (0.4 + sizes + gates + 0.02 * knobs["cardinality"]).to_numpy()


def observed() -> list[Observation]:
    return [
        Observation.of(
            Candidate(arch, PROBLEM), Outcome("complete", {"accuracy": value})
        )
        for arch, value in zip(ARCHS, accuracies(), strict=True)
    ]


def missed(observations: list[Observation], *earlier: EarlierRun) -> float:
    """How far accuracies of three quarters are from what a surrogate of the others believes, on average."""
    known, unknown = observations[::4], [o for i, o in enumerate(observations) if i % 4]
    posterior = Surrogate(PROBLEM, earlier).posterior(known)
    believed = -posterior.believed([other.network for other in unknown])[:, 0]
    true = np.array([other.metrics["accuracy"] for other in unknown])
    return float(np.abs(believed - true).mean())


class TestEarlierRuns:
    def test_one_alike_makes_the_surrogate_better(self, tmp_path: Path) -> None:
        """The same networks on harder images: worse, and with noise."""
        noise = np.random.default_rng(0).normal(0, 0.01, len(ARCHS))
        alike = accuracies() / 2 + noise
        earlier = EarlierRun(run_with(tmp_path / "alike", alike), PROBLEM)
        assert missed(observed(), earlier) < 0.8 * missed(observed())

    def test_a_misleading_one_hardly_hurts(self, tmp_path: Path) -> None:
        """Accuracies of other networks teach nothing."""
        shuffled = np.random.default_rng(0).permutation(accuracies())
        earlier = EarlierRun(run_with(tmp_path / "misleading", shuffled), PROBLEM)
        assert missed(observed(), earlier) < 1.1 * missed(observed())

    def test_what_another_space_measured_is_refused(self) -> None:
        sampler = make_sampler("evolution", 0, {"learn_from": [str(RUN)]})
        message = "learn_from: .* has no finished trial in the space regnety"
        with pytest.raises(ValueError, match=message):
            Proposer(get_space("regnety"), {"accuracy": "max"}, sampler)

    def test_what_measured_nothing_of_use_is_refused(self) -> None:
        sampler = make_sampler("evolution", 0, {"learn_from": [str(RUN)]})
        message = "learn_from: .* has too few trials that measured memory_mb"
        with pytest.raises(ValueError, match=message):
            Proposer(SPACE, {"memory_mb": "min"}, sampler)

    def test_what_is_no_run_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="learn_from must be a list of run"):
            make_sampler("evolution", 0, {"learn_from": str(tmp_path)})(PROBLEM)
        sampler = make_sampler("evolution", 0, {"learn_from": [str(tmp_path / "no")]})
        with pytest.raises(ValueError, match=r"learn_from: .*no: no such run folder"):
            Proposer(SPACE, {"accuracy": "max"}, sampler)


class TestBeliefs:
    def test_half_of_the_first_networks_are_as_believed(self) -> None:
        sampler = make_sampler("evolution", 0, {"first": 16, "prefer": {"radix": 4}})
        made = Proposer(SPACE, {"accuracy": "max"}, sampler)
        radixes = [made.knobs(proposal.arch)["radix"] for proposal in asked(made, 16)]
        assert radixes.count(4) >= 8
        assert len(set(radixes)) > 1

    def test_they_fade(self) -> None:
        beliefs = Beliefs({"radix": 4, "deep_stem": True}, SPACE)
        rng = np.random.default_rng(0)
        networks = [Candidate(SPACE.sample(rng), PROBLEM) for _ in range(30)]
        early, late = (beliefs.weights(networks, count) for count in (4, 800))
        assert early.min() < 0.4
        assert late.min() > 0.9
        as_believed = Candidate(beliefs.applied(networks[0].arch, rng), PROBLEM)
        assert beliefs.weights([as_believed], 4) == [1.0]

    @pytest.mark.parametrize(
        ("prefer", "message"),
        [
            ("radix", "prefer must map knobs to values, as {radix: 2}, got 'radix'"),
            ({"radixes": 2}, "prefer: there is no knob 'radixes'; did you mean radix"),
            ({"radix": 3}, r"prefer.radix: 3 is none of 0, 1, 2, 4"),
            ({"deep_stem": 1}, "prefer.deep_stem: 1 is none of False, True"),
            ({"radix": "2"}, "prefer.radix: '2' is none of 0, 1, 2, 4"),
        ],
    )
    def test_a_wrong_one_is_named(self, prefer: object, message: str) -> None:
        sampler = make_sampler("evolution", 0, {"prefer": prefer})
        with pytest.raises(ValueError, match=message):
            Proposer(SPACE, {"accuracy": "max"}, sampler)

    def test_without_a_surrogate_they_would_do_nothing(self) -> None:
        with pytest.raises(ValueError, match="`prefer` need `surrogate: true`"):
            make_sampler("evolution", 0, {"prefer": {"radix": 2}, "surrogate": False})(
                PROBLEM
            )


def asked(made: Proposer, count: int) -> list[Any]:
    return [made.ask() for _ in range(count)]
