"""Workers share the cores: more threads than cores make torch many times slower.

And a lock of their own: a search elsewhere on this machine, or a measurement, is no business of the tests.
"""

from __future__ import annotations

import os
import tempfile

import pytest
import torch

if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
_locks = tempfile.TemporaryDirectory(prefix="splitsearch-test-locks-")
os.environ["SPLITSEARCH_LOCK_DIR"] = _locks.name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))
