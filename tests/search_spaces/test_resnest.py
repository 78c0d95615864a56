from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import REFERENCES, ResNeSt, Task, arch_from_dict, complexity, get_space, reference

TABLE = list(csv.DictReader((Path(__file__).parents[1] / "reference/resnest.csv").read_text().splitlines()))
SPACE = get_space("resnest")
archs = st.integers(0, 2**32).map(lambda seed: SPACE.sample(np.random.default_rng(seed)))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["name"])
def test_published_networks_cost_what_was_measured(row: dict[str, str]) -> None:
    cost = complexity(reference(row["name"]), Task(resolution=int(row["resolution"])))
    assert cost.params == int(row["measured_params"])
    assert cost.macs == int(row["measured_fvcore_conv_plus_linear"])
    assert cost.flops == int(row["measured_fvcore_total_eval"])
    for operator in ("conv", "linear", "batch_norm", "adaptive_avg_pool2d"):
        assert getattr(cost, operator) == int(row[f"measured_fvcore_{operator}"])


def test_the_table_is_the_catalogue() -> None:
    assert {row["name"] for row in TABLE} == {name for name in REFERENCES if name.startswith("resnest")}


@pytest.mark.parametrize("name", [row["name"] for row in TABLE])
def test_published_networks_are_points_of_the_space(name: str) -> None:
    arch = reference(name)
    assert SPACE.suggest(optuna.trial.FixedTrial(SPACE.params(arch))) == arch  # type: ignore[arg-type]


@given(archs)
def test_params_inverts_suggest_and_json_round_trips(arch: ResNeSt) -> None:
    assert SPACE.suggest(optuna.trial.FixedTrial(SPACE.params(arch))) == arch  # type: ignore[arg-type]
    assert arch_from_dict(json.loads(json.dumps(arch.to_dict()))) == arch


@given(archs, archs)
def test_ids_are_equal_exactly_if_descriptions_are(a: ResNeSt, b: ResNeSt) -> None:
    assert (a.id == b.id) == (a.describe() == b.describe())


def test_knobs_that_make_no_difference_make_no_new_architecture() -> None:
    assert ResNeSt(avd=False, avd_first=True) == ResNeSt(avd=False)
    assert ResNeSt(widths=(8, 8, 8, 8), bottleneck_width=8, radix=4).id == (
        ResNeSt(widths=(8, 8, 8, 8), bottleneck_width=32, radix=4).id
    ), "both round up to 4 channels a group"
    assert ResNeSt(radix=1).id != ResNeSt(radix=2).id


def test_ids_stay_the_same() -> None:
    """Stored runs refer to networks by id: change these and old runs lose their networks."""
    golden = json.loads((Path(__file__).parent / "ids.json").read_text())
    assert {name: arch.id for name, arch in REFERENCES.items()} == golden


def test_ids_agree_between_processes() -> None:
    code = "from search_spaces import reference; print(reference('resnest50').id)"
    for seed in ("0", "1"):
        command = [sys.executable, "-c", code]
        printed = subprocess.check_output(command, env={"PYTHONHASHSEED": seed}, text=True)
        assert printed.strip() == reference("resnest50").id


def test_optuna_samplers_draw_legal_architectures() -> None:
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.NSGAIISampler(population_size=5, seed=0)
    )
    for _ in range(20):
        trial = study.ask()
        cost = complexity(SPACE.suggest(trial))
        study.tell(trial, [cost.params, cost.flops])
    assert len(study.trials) == 20


def test_overrides_narrow_the_knobs() -> None:
    space = get_space("resnest", radix=2, width1=[8, 16], depth3=[1])
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(50)]
    assert {arch.radix for arch in drawn} == {2}
    assert {arch.widths[0] for arch in drawn} == {8, 16}
    assert {arch.depths[2] for arch in drawn} == {1}


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"radix": 3}, "radix must be 0, 1, 2 or 4, got 3"),
        ({"radix": [1, "2"]}, "radix must be 0, 1, 2 or 4, got '2'"),
        ({"radix": []}, "radix has no choices"),
        ({"radixes": 2}, "no knob 'radixes'; did you mean radix?"),
        ({"width1": 12}, "width1 must be 8 to 2048 in steps of 8, got 12"),
        ({"avd": 1}, "avd must be false or true, got 1"),
    ],
)
def test_a_wrong_knob_is_named(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        get_space("resnest", **knobs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"radix": 3}, "radix must be 0, 1, 2 or 4, got 3"),
        ({"radix": "2"}, "radix must be of type int, got '2'"),
        ({"radix": True}, "radix must be of type int, got True"),
        ({"depths": [3, 4, 6]}, "depths must have 4 entries"),
        ({"depths": [3, 4, 6, 0]}, r"depths \(stage 4\) must be 1 to 100, got 0"),
        ({"depths": [3, 4, 6, 1.5]}, "depths must be a list of int"),
        ({"depths": 3}, "depths must be a list of int"),
        ({"cardinalty": 2}, "no field 'cardinalty'; its fields are depths, widths"),
        ({"space": "resnet"}, "unknown space 'resnet'; built in: resnest"),
        ({"space": "no_module:Space"}, "cannot be imported: No module named 'no_module'"),
        ({"space": "json:JSONDecoder"}, "not a subclass of search_spaces.SearchSpace"),
        ({"space": None}, "needs a field 'space'"),
    ],
)
def test_a_wrong_field_of_a_stored_architecture_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arch_from_dict(ResNeSt().to_dict() | changes)


def test_an_unknown_reference_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no published network 'resnest51'; did you mean resnest\d+\?"):
        reference("resnest51")


@pytest.mark.parametrize("field", ["num_classes", "resolution", "channels"])
def test_a_wrong_task_is_named(field: str) -> None:
    with pytest.raises(ValueError, match=rf"Task.{field} must be a positive int, got 0"):
        Task(**{field: 0})
