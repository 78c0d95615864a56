"""One Ray for all tests of this folder: starting it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nas.config.schema import RayConfig
from nas.engines.ray_cluster import connected


@pytest.fixture(scope="session")
def ray_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder: Path = tmp_path_factory.mktemp("ray")
    with connected(RayConfig(), folder / "log.txt"):
        yield
