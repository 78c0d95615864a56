"""A search that is over, for its finalists to be trained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import nas
from tests.nas.finalists.few import SETTINGS


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "mine.yaml").write_text(SETTINGS)
    nas.search(nas.load_config(str(folder / "mine.yaml")), folder / "run")
    return folder / "run"


@pytest.fixture
def run(searched: Path, tmp_path: Path) -> Path:
    """A copy of the search, without finalists."""
    return Path(
        shutil.copytree(
            searched, tmp_path / "run", ignore=shutil.ignore_patterns("finalists")
        )
    )
