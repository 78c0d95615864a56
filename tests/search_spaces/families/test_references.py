"""The published networks of all families: what they cost, what they are called, that their spaces hold them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search_spaces import (
    REFERENCES,
    FBNetV2,
    RegNetY,
    Task,
    arch_from_dict,
    build,
    complexity,
    get_space,
    reference,
)
from search_spaces.counting import count_activations, fvcore_operators
from search_spaces.testing import Replay

FOLDER = Path(__file__).parents[2] / "reference"


def table(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((FOLDER / f"{name}.csv").read_text().splitlines()))


def name_of(row: dict[str, str]) -> str:
    return (row.get("name") or row["model"]).lower().replace("-", "_")


RESNEST, REGNETY, FBNETV2 = table("resnest"), table("regnety"), table("fbnetv2")
DENSE_GATE = [
    row
    for row in table("split_attention_costs")
    if row["variant"].startswith("C: ")
    or "dense attention of the SE width" in row["variant"]
]


def test_the_tables_are_the_catalogue() -> None:
    assert [name_of(row) for row in (*RESNEST, *REGNETY, *FBNETV2)] == list(REFERENCES)
    assert len(REFERENCES) == 13 + 12 + 7


@pytest.mark.parametrize("row", RESNEST, ids=name_of)
def test_resnest_costs_what_was_measured(row: dict[str, str]) -> None:
    cost = complexity(reference(row["name"]), Task(resolution=int(row["resolution"])))
    assert cost.params == int(row["measured_params"])
    assert cost.macs == int(row["measured_fvcore_conv_plus_linear"])
    assert cost.flops == int(row["measured_fvcore_total_eval"])
    for operator in ("conv", "linear", "batch_norm", "adaptive_avg_pool2d"):
        assert getattr(cost, operator) == int(row[f"measured_fvcore_{operator}"])


@pytest.mark.parametrize("row", REGNETY, ids=name_of)
def test_regnety_has_the_stages_and_costs_that_were_measured(
    row: dict[str, str],
) -> None:
    arch = reference(name_of(row))
    assert isinstance(arch, RegNetY)
    for column, values in (
        ("stage_depths", [stage.depth for stage in arch.stages()]),
        ("stage_widths", [stage.width for stage in arch.stages()]),
        ("stage_group_widths", [stage.group_width for stage in arch.stages()]),
    ):
        assert "-".join(map(str, values)) == row[column]
    cost = complexity(arch)
    assert cost.params == int(row["measured_params"])
    assert cost.activations == int(row["pycls_cx_acts"])
    assert cost.macs == int(row["fvcore_convlinear_224"])
    assert cost.batch_norm == int(row["fvcore_batch_norm_224"])
    assert cost.adaptive_avg_pool2d == int(row["fvcore_adaptive_avg_pool2d_224"])
    assert cost.flops == int(row["fvcore_total_224"])


@pytest.mark.parametrize("row", FBNETV2, ids=name_of)
@pytest.mark.parametrize("task", [Task(), Task(resolution=97)], ids=["224", "97"])
def test_fbnetv2_costs_what_was_measured_whatever_the_image(
    row: dict[str, str], task: Task
) -> None:
    arch = reference(name_of(row))
    assert isinstance(arch, FBNetV2)
    assert arch.resolution == int(row["resolution"])
    cost = complexity(arch, task)
    assert cost.params == int(row["measured_params"])
    assert cost.macs == int(row["fvcore_convlinear"])
    assert cost.flops == int(row["fvcore_total"])
    for operator, flops in json.loads(row["fvcore_ops"]).items():
        assert getattr(cost, operator) == flops
    at_224 = complexity(replace(arch, resolution=224), task)
    assert (at_224.flops, at_224.macs) == (
        int(row["fvcore_total_224"]),
        int(row["fvcore_convlinear_224"]),
    )


@pytest.mark.parametrize("row", FBNETV2, ids=name_of)
def test_fbnetv2_has_the_blocks_of_the_table(row: dict[str, str]) -> None:
    wanted = [
        block
        for block in json.loads(row["stages"])
        if block["mid_channels"] and block["stage"] < 6
    ]
    description = reference(name_of(row)).describe()
    blocks: list[Any] = [
        block
        for stage in description.stages
        for block in stage
        if hasattr(block, "conv")
    ]
    assert len(blocks) == len(wanted)
    for block, want in zip(blocks, wanted, strict=True):
        assert (block.in_channels, block.conv.channels, block.out_channels) == (
            want["in_channels"],
            want["mid_channels"],
            want["out_channels"],
        )
        assert (block.conv.kernel_size, block.conv.stride) == (
            want["kernel"],
            want["stride"],
        )
        assert (block.conv.activation, block.residual) == (
            want["act"],
            want["residual"],
        )
        assert block.conv.gate_channels == (want["se_channels"] or 0)


@pytest.mark.parametrize("row", DENSE_GATE, ids=name_of)
def test_split_attention_costs_what_was_measured(row: dict[str, str]) -> None:
    arch = replace(reference(name_of(row)), attention="split", radix=2)  # type: ignore[call-arg]
    cost = complexity(arch)
    assert cost.params == int(row["params"])
    assert cost.flops == int(row["fvcore_total"])
    assert cost.macs == int(row["fvcore_conv_plus_linear"])


@pytest.mark.parametrize("name", ["regnety_200mf", "fbnetv2_f0"])
def test_published_networks_cost_what_they_cost_when_built(name: str) -> None:
    arch, task = reference(name), Task()
    cost, model = complexity(arch, task), build(arch, task)
    assert {
        op: getattr(cost, op) for op in fvcore_operators(model, task)
    } == fvcore_operators(model, task)
    assert cost.activations == count_activations(model, task)


@pytest.mark.parametrize("name", REFERENCES)
def test_published_networks_are_points_of_their_space(name: str) -> None:
    arch = reference(name)
    space = get_space(arch.space)
    assert space.suggest(Replay(space.params(arch))) == arch
    assert arch_from_dict(json.loads(json.dumps(arch.to_dict()))) == arch


def test_ids_stay_the_same() -> None:
    """Stored runs refer to networks by id: change these and old runs lose their networks."""
    golden = json.loads((Path(__file__).parents[1] / "ids.json").read_text())
    assert {name: arch.id for name, arch in REFERENCES.items()} == golden
    assert len(set(golden.values())) == len(golden)


@pytest.mark.parametrize("seed", ["0", "1"])
def test_ids_agree_between_processes(seed: str) -> None:
    code = "from search_spaces import REFERENCES; print(*(arch.id for arch in REFERENCES.values()))"
    printed = subprocess.check_output(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, text=True
    )
    assert printed.split() == [arch.id for arch in REFERENCES.values()]


def test_an_unknown_reference_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        ValueError,
        match=r"no published network 'resnest51'; did you mean resnest\d+ or ",
    ):
        reference("resnest51")
