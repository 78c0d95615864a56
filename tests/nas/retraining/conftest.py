"""A finished search, and a network as a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nas
from tests.nas.retraining.digits import (
    SMALL,
)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search") / "run"
    settings = (
        "trials=5",
        "training.epochs=2",
        "data.subset=200",
        "objectives={accuracy: max, flops: min}",
    )
    config = nas.load_config(
        "quick",
        (*settings, "reference_point=null", "evaluators=[complexity, training]"),
    )
    nas.search(config, folder, serial=True)
    return folder


@pytest.fixture
def arch(tmp_path: Path) -> Path:
    path = tmp_path / "arch.json"
    path.write_text(json.dumps({"arch": SMALL.to_dict()}))
    return path
