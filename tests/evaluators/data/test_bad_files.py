"""Images that cannot be used, through ``load`` and ``load_test``: each named before anything trains."""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from evaluators import load, load_test
from evaluators.data.dataset import check_test
from tests.evaluators.data.image_files import (
    assert_refused,
    encoded,
    make_unreadable,
    settings,
    write_cifar,
    write_folder,
    write_shard,
)

pytestmark = pytest.mark.usefixtures("cache")


class TestBadFiles:
    def test_corrupt_images_are_left_out_and_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        root = write_folder(tmp_path / "train").parent
        make_unreadable(root / "train" / "class1" / "9.png")
        (root / "train" / "class2" / "20.png").write_text("no image")
        with caplog.at_level(logging.WARNING, "splitsearch.data"):
            dataset = load(
                settings("imagefolder", root, max_corrupt=0.2, validation=0.2)
            )
        counts = [len(part.labels) for part in (dataset.train, dataset.validation)]
        assert len(dataset.corrupt) == caplog.text.count("left out: ") > 0
        assert sum(counts) + len(dataset.corrupt) in (24, 24 - 6)
        for split in (dataset.train, dataset.validation):
            assert torch.equal(split.images[:, 0, 0, 0].long() // 8, split.labels)

    def test_too_many_corrupt_images_are_refused_again_and_again(
        self, tmp_path: Path
    ) -> None:
        root = write_folder(tmp_path, classes=2, each=20)
        write_folder(tmp_path / "more" / "test", classes=2, each=2)
        (tmp_path / "more" / "train").mkdir()
        for name in ("class0", "class1"):
            (root / name).rename(tmp_path / "more" / "train" / name)
        root = tmp_path / "more"
        make_unreadable(root / "train" / "class0" / "3.png")
        make_unreadable(root / "train" / "class0" / "4.png")
        message = "2 of 40 images cannot be read, and data.max_corrupt=0.01 allows 0; the first is "
        assert_refused(message, settings("imagefolder", root))
        assert len(load(settings("imagefolder", root, max_corrupt=0.05)).corrupt) == 2
        assert_refused(message, settings("imagefolder", root))

    def test_all_images_corrupt(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train", each=3)
        for path in (tmp_path / "train").rglob("*.png"):
            path.write_text("")
        assert_refused(
            "6 of 6 images cannot be read", settings("imagefolder", tmp_path)
        )

    def test_a_class_or_a_split_lost_to_corruption(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "test")
        for path in (tmp_path / "train" / "class1").iterdir():
            path.write_text("")
        message = "no image of class 'class1' to train with can be read"
        assert_refused(message, settings("imagefolder", tmp_path, max_corrupt=0.9))
        for path in (tmp_path / "test").rglob("*.png"):
            path.write_text("")
        write_folder(tmp_path / "good" / "train")
        (tmp_path / "test").rename(tmp_path / "good" / "test")
        wanted = settings("imagefolder", tmp_path / "good", max_corrupt=0.9)
        assert_refused("24 of 24 images cannot be read", wanted, load_test)

    def test_unreadable_test_images_are_refused_before_anything_is_trained(
        self, tmp_path: Path
    ) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "test", each=2)
        for path in (tmp_path / "test").rglob("*.png"):
            path.write_text("")
        wanted = settings("imagefolder", tmp_path)
        dataset = load(wanted)
        assert_refused(
            "3 of 6 images cannot be read",
            wanted,
            lambda each: check_test(each, dataset),
        )
        check_test(settings("imagefolder", tmp_path, max_corrupt=0.5), dataset)

    def test_a_link_to_nothing_is_a_corrupt_image_and_a_folder_is_none(
        self, tmp_path: Path
    ) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "test")
        (tmp_path / "train" / "class0" / "folder.png").mkdir()
        os.mkfifo(tmp_path / "train" / "class0" / "pipe.png")
        assert load(settings("imagefolder", tmp_path)).corrupt == ()
        (tmp_path / "train" / "class0" / "gone.png").symlink_to(tmp_path / "gone")
        # another value, because a process keeps what it has loaded
        assert_refused(
            "1 of 25 images cannot be read",
            settings("imagefolder", tmp_path, max_corrupt=0.02),
        )
        assert (
            len(load(settings("imagefolder", tmp_path, max_corrupt=0.1)).corrupt) == 1
        )

    def test_one_class_is_none(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train", classes=1)
        assert_refused(
            "has one class, 'class0'; there must be two at least",
            settings("imagefolder", tmp_path),
        )
        write_shard(tmp_path / "shards" / "train.parquet", [*range(8)], [0] * 8)
        assert_refused("has one class, '0'", settings("parquet", tmp_path / "shards"))

    def test_a_damaged_row_group_is_named(self, tmp_path: Path) -> None:
        shard = write_shard(
            tmp_path / "train.parquet", [*range(24)], [i % 3 for i in range(24)]
        )
        content = bytearray(shard.read_bytes())
        content[60:400] = bytes(340)
        shard.write_bytes(content)
        assert_refused(
            "train.parquet: row group 0 is damaged", settings("parquet", tmp_path)
        )

    def test_images_of_several_sizes_need_a_resolution(self, tmp_path: Path) -> None:
        root = write_folder(tmp_path / "mine")
        Image.new("RGB", (9, 7)).save(root / "class0" / "odd.png")
        load(settings("imagefolder", root, resolution=6))
        other = write_folder(tmp_path / "other", classes=1, each=4)
        (other / "class1").mkdir()
        for name in range(4):
            Image.new("RGB", (9, 7)).save(other / "class1" / f"{name}.png")
        message = "data.resolution: is needed, because the images of"
        assert_refused(message, settings("imagefolder", other))

    def test_folders_that_will_not_do(self, tmp_path: Path) -> None:
        wanted = settings("imagefolder", tmp_path)
        assert_refused("needs a folder of images for each class", wanted)
        write_folder(tmp_path / "train")
        (tmp_path / "train" / "empty").mkdir()
        (tmp_path / "train" / "empty" / "notes.txt").write_text("no image")
        assert_refused("class 'empty' (label 3) has no images", wanted)
        (tmp_path / "train" / "empty" / "one.png").write_bytes(encoded(1))
        assert_refused("class 'empty' (label 3) has one image", wanted)
        (tmp_path / "train" / "empty" / "two.png").write_bytes(encoded(2))
        write_folder(tmp_path / "test", classes=2)
        (tmp_path / "test" / "other").mkdir()
        assert_refused(
            "other: there is no such class among the images to train with",
            wanted,
            load_test,
        )

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (
                [0, 1, -1, 0],
                "train.parquet: label -1 in row 2 must be a whole number from 0",
            ),
            ([0.0, 1.0, 0.0, 1.0], "train.parquet: label 0.0 in row 0 must be"),
            ([0, None, 1, 1], "train.parquet: label None in row 1 must be"),
            (
                ["cat", None, "dog", "dog"],
                "train.parquet: label None in row 1; others are texts",
            ),
            ([0, 0, 2, 2], "train.parquet: class '1' (label 1) has no images"),
            (
                [0, 0, 10**12, 1],
                "train.parquet: label 1000000000000 in row 2; labels must count from 0",
            ),
        ],
    )
    def test_wrong_labels(
        self, tmp_path: Path, labels: list[Any], message: str
    ) -> None:
        write_shard(tmp_path / "train.parquet", [0, 1, 2, 3], labels)
        assert_refused(message, settings("parquet", tmp_path))

    def test_a_label_beyond_the_named_classes(self, tmp_path: Path) -> None:
        table = parquet.read_table(
            write_shard(tmp_path / "train.parquet", [0, 1, 2, 3], [0, 1, 2, 1])
        )
        described = '{"info": {"features": {"label": {"names": ["cat", "dog"]}}}}'
        parquet.write_table(
            table.replace_schema_metadata({"huggingface": described}),
            tmp_path / "train.parquet",
        )
        assert_refused(
            "label 2 in row 2, but there are 2 classes", settings("parquet", tmp_path)
        )

    def test_parquet_that_will_not_do(self, tmp_path: Path) -> None:
        wanted = settings("parquet", tmp_path)
        assert_refused(f"{tmp_path} holds no *.parquet", wanted)
        whole = write_shard(
            tmp_path / "train.parquet", [*range(8)], [0, 1] * 4
        ).read_bytes()
        (tmp_path / "train.parquet").write_bytes(whole[: len(whole) // 2])
        assert_refused("train.parquet: not a readable parquet file of images", wanted)
        parquet.write_table(
            pa.table({"image": [b"x"], "kind": [0]}), tmp_path / "train.parquet"
        )
        assert_refused("no column label, only image, kind", wanted)
        parquet.write_table(
            pa.table({"picture": [1], "label": [0]}), tmp_path / "train.parquet"
        )
        assert_refused("no column of images", wanted)
        (tmp_path / "train.parquet").write_bytes(whole)
        assert_refused(
            "train.parquet: has 2 classes, cifar10 has 10",
            settings("cifar10", tmp_path),
        )
        assert_refused(
            "is neither a folder nor a .parquet file",
            settings("parquet", Path(__file__)),
        )
        (tmp_path / "train.parquet").rename(tmp_path / "test.parquet")
        assert_refused("holds test.parquet and no train*.parquet", wanted)

    def test_cifar_that_will_not_do(self, tmp_path: Path) -> None:
        assert_refused(
            "holds neither cifar-10-batches-py nor *.parquet",
            settings("cifar10", tmp_path),
        )
        root = write_cifar(tmp_path / "c")
        batch = root / "cifar-10-batches-py" / "data_batch_2"
        whole = batch.read_bytes()
        batch.write_bytes(whole[:-500])
        assert_refused(
            "data_batch_2: not one of CIFAR's Python files, or damaged",
            settings("cifar10", root),
        )
        batch.unlink()
        assert_refused("data_batch_2: is missing", settings("cifar10", root))

    def test_a_pickle_with_code_runs_none_of_it(self, tmp_path: Path) -> None:
        class Evil:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (tmp_path / "ran",)

        root = write_cifar(tmp_path / "c")
        (root / "cifar-10-batches-py" / "data_batch_1").write_bytes(
            pickle.dumps({"data": Evil()}, protocol=2)
        )
        assert_refused(
            "data_batch_1: not one of CIFAR's Python files", settings("cifar10", root)
        )
        assert not (tmp_path / "ran").exists()
