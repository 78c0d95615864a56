"""CIFAR as its authors publish it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from evaluators import load
from tests.evaluators.data.image_files import (
    assert_refused,
    settings,
    write_cifar,
)

pytestmark = pytest.mark.usefixtures("cache")


class TestCifar:
    def test_classes_have_their_names(self, tmp_path: Path) -> None:
        root = write_cifar(tmp_path)
        names = [
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ]
        meta = root / "cifar-10-batches-py" / "batches.meta"
        meta.write_bytes(pickle.dumps({"label_names": names}, protocol=2))
        assert load(settings("cifar10", root)).classes == tuple(names)
        meta.write_bytes(pickle.dumps({"label_names": names[:3]}, protocol=2))
        assert_refused(
            "holds no 10 label_names", settings("cifar10", root, split_seed=1)
        )

    def test_a_short_batch_or_a_copy_is_damage(self, tmp_path: Path) -> None:
        folder = write_cifar(tmp_path) / "cifar-10-batches-py"
        second, whole = folder / "data_batch_2", (folder / "data_batch_2").read_bytes()
        second.write_bytes((folder / "data_batch_1").read_bytes())
        assert_refused(
            "holds the same images as data_batch_1", settings("cifar10", tmp_path)
        )
        content = pickle.loads(whole)  # noqa: S301 - written above
        short = {"data": np.array(content["data"][:5]), "labels": content["labels"][:5]}
        second.write_bytes(pickle.dumps(short, protocol=2))
        assert_refused(
            "data_batch_2: has 5 images, another batch 20",
            settings("cifar10", tmp_path),
        )
