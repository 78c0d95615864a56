from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from search_spaces import ResNeSt


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def arch() -> ResNeSt:
    return ResNeSt(depths=(1, 1, 1, 1), widths=(8, 8, 8, 8), stem_width=8)


@pytest.fixture
def cache(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SPLITSEARCH_CACHE", str(folder))
    return folder
