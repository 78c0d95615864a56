from __future__ import annotations

import io

import pandas as pd
import pytest
from rich.console import Console

from nas.cli.tables import front_table

FRONT = pd.DataFrame({
    "trial": [3, 7], "accuracy": [0.975, 0.95], "flops": [2e6, 1e6], "params": [5e4, 4e4],
    "arch.depth1": [1, 2], "arch.depth2": [2, 3], "arch.w0": [8, 16], "arch.avd": [True, True],
})  # fmt: skip


def printed(front: pd.DataFrame, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(front_table(front, ["accuracy", "flops"], width))
    return console.export_text()


def test_stages_stand_together_and_equal_knobs_are_left_out() -> None:
    text = printed(FRONT, 120)
    assert "Pareto front: 2 networks" in text
    assert "depth 1-2 w0 8" in text
    assert "avd" not in text


def test_a_stage_in_which_all_agree_keeps_its_place() -> None:
    assert "depth 1-2-1 " in printed(FRONT.assign(**{"arch.depth3": [1, 1]}), 160)


def test_a_network_alone_shows_all_its_knobs() -> None:
    assert "avd True" in printed(FRONT.head(1), 120)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_knob_is_cut_off(width: int) -> None:
    words = printed(FRONT.head(1), width).split()
    assert {"depth", "1-2", "w0", "8", "avd", "True"} <= set(words)
    assert ("parameters" in words) == (width >= 100)
