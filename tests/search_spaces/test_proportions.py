"""The network to draw by hand for a budget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from nas.cli.commands import main
from search_spaces import IMAGENET, REFERENCES, Task, complexity
from search_spaces.proportions import Scalable, published_of, suggest

SMALL = Task(10, 32, 3, small_images=True)
FAMILIES = ("resnest", "regnety", "fbnetv2")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("budget", [13e6, 100e6])
def test_the_budget_is_kept_and_no_scale_of_that_network_fills_it_better(
    family: str, budget: float
) -> None:
    try:
        name, arch = suggest(family, {"macs": budget}, SMALL)
    except ValueError:
        assert budget < 20e6
        return
    macs = complexity(arch, SMALL).macs
    assert 0.5 * budget < macs <= budget
    source = REFERENCES[name]
    assert isinstance(source, Scalable)
    for percent in range(10, 400, 6):
        other = complexity(source.scaled(percent / 100), SMALL).macs
        assert other <= 1.1 * macs or other > budget


@pytest.mark.parametrize("name", ["resnest50", "regnety_400mf", "fbnetv2_l1"])
def test_a_published_network_is_suggested_for_its_own_budget(name: str) -> None:
    arch = REFERENCES[name]
    limits = {"macs": complexity(arch).macs, "params": complexity(arch).params}
    assert suggest(arch.space, limits) == (name, arch)


@pytest.mark.parametrize("family", FAMILIES)
def test_scaling_keeps_proportions(family: str) -> None:
    for arch in published_of(family).values():
        assert isinstance(arch, Scalable)
        assert arch.scaled(1.0) == arch
        twice = arch.scaled(2.0)
        assert (
            3 < complexity(twice, IMAGENET).macs / complexity(arch, IMAGENET).macs < 5
        )


@pytest.mark.parametrize(
    ("family", "limits", "said"),
    [
        ("resnest", {}, "needs the most of a cost"),
        ("resnest", {"macs": (1e6, None)}, "needs the most of a cost"),
        ("resnest", {"macs": 1000}, "MACs for 224 x 224 pixels"),
        ("nothing", {"macs": 1e9}, "has no published networks"),
    ],
)
def test_bad_input(family: str, limits: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        suggest(family, limits)  # type: ignore[arg-type]


def test_the_command_writes_what_measure_takes(tmp_path: Path) -> None:
    out = tmp_path / "suggested.json"
    command = "spaces resnest --limit macs=13e6 --resolution 32 --classes 10 --suggest --json --out"
    found = CliRunner().invoke(main, [*command.split(), str(out)])
    answer = json.loads(found.output)
    assert answer["proportions_of"] == "resnest14d"
    assert answer["metrics"]["macs"] <= 13e6
    assert json.loads(out.read_text())["arch"] == answer["arch"]
    for wrong, said in {
        "spaces resnest --limit macs=13e6": "are for --suggest",
        "spaces --suggest --limit macs=13e6": "needs a space",
        "spaces resnest --suggest --limit macs=much": "METRIC=MOST",
    }.items():
        refused = CliRunner().invoke(main, wrong.split())
        assert refused.exit_code == 2
        assert said in refused.output
