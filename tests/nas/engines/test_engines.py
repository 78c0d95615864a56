"""The engines, by the contract that one of the user's own inherits too; and how they are named."""

from __future__ import annotations

from pathlib import Path

import pytest

import nas
from nas import SearchConfig
from nas.engines.engine import Engine, make_engine
from nas.engines.ray_engine import RayEngine
from nas.engines.ray_room import largest
from nas.engines.serial import SerialEngine
from nas.engines.testing import EngineContract

COSTS = SearchConfig(
    objectives={"params": "min"}, evaluators=("complexity",), trials=3, engine="serial"
)


class TestSerial(EngineContract):
    @pytest.fixture
    def engine(self, config: SearchConfig, tmp_path: Path) -> Engine:
        return SerialEngine(config, tmp_path)


class TestRay(EngineContract):
    @pytest.fixture
    def engine(self, ray_session: None, config: SearchConfig, tmp_path: Path) -> Engine:
        return RayEngine(config, tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("rai", "unknown engine 'rai'; did you mean ray"),
        ("json:loads", "engine 'json:loads' cannot be made: "),
        ("pathlib:PurePath", "engine 'pathlib:PurePath' "),
    ],
)
def test_an_engine_that_is_none_is_named(
    tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        nas.search(COSTS.model_copy(update={"engine": name}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_engine_of_ones_own_runs_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_engine.py").write_text(
        "from nas.engines.serial import SerialEngine\n\n"
        "class Loud(SerialEngine):\n"
        "    def run(self, controller, evaluators, checkpoints):\n"
        "        super().run(controller, evaluators, checkpoints)\n"
        f"        open({str(tmp_path / 'said')!r}, 'w').close()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = COSTS.model_copy(update={"engine": "my_engine:Loud"})
    assert len(nas.search(config, tmp_path / "run").complete) == 3
    assert (tmp_path / "said").exists()
    assert isinstance(make_engine(config, tmp_path), Engine)


def test_another_engine_may_go_on(ray_session: None, tmp_path: Path) -> None:
    nas.search(COSTS, tmp_path / "run")
    assert len(nas.resume(tmp_path / "run", ["trials=5", "engine=ray"]).complete) == 5


def test_the_largest_node_is_the_one_with_most() -> None:
    nodes = [{"CPU": 9.0}, {"CPU": 16.0}, {"CPU": 4.0, "GPU": 2.0}]
    assert largest(nodes) == "the largest node has 16 CPUs and 0 GPUs"
    assert largest(nodes, first="GPU") == "the largest node has 4 CPUs and 2 GPUs"
    assert largest([]) == "there are no nodes"
