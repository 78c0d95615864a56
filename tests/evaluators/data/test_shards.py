"""Images in parquet files."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from evaluators import load, load_test
from evaluators.data.files.sources import find_files
from tests.evaluators.data.image_files import (
    assert_refused,
    encoded,
    numbers,
    settings,
    write_shard,
)

pytestmark = pytest.mark.usefixtures("cache")


class TestShards:
    @pytest.mark.parametrize(
        ("train", "test"),
        [
            ("default/train/0000.parquet", "default/test/0000.parquet"),
            ("cats_train.parquet", "cats_test.parquet"),
            ("Train-0.parquet", "TEST-0.parquet"),
            ("data/training.parquet", "data/evaluation.parquet"),
            ("train/a/0.parquet", "valid/a/0.parquet"),
        ],
    )
    def test_splits_as_the_hub_names_them(
        self, tmp_path: Path, train: str, test: str
    ) -> None:
        write_shard(tmp_path / train, [*range(12)], [0, 1] * 6)
        write_shard(tmp_path / test, [100, 101, 102], [0, 1, 1])
        wanted = settings("parquet", tmp_path)
        assert sorted(
            numbers(load(wanted).train) + numbers(load(wanted).validation)
        ) == [*range(12)]
        assert numbers(load_test(wanted)) == [100, 101, 102]

    @pytest.mark.parametrize(
        ("files", "message"),
        [
            (
                ["fine/train/0.parquet", "coarse/train/0.parquet"],
                "holds several sets of train images",
            ),
            (
                ["snapshots/1a/0.parquet", "snapshots/2b/0.parquet"],
                "holds several sets of train images",
            ),
            (
                ["train.parquet", "more.parquet"],
                "holds more.parquet, which says no split",
            ),
            (["train_test.parquet", "b.parquet"], "is it train or test?"),
        ],
    )
    def test_what_cannot_be_told_apart_is_refused(
        self, tmp_path: Path, files: list[str], message: str
    ) -> None:
        for file in files:
            write_shard(tmp_path / file, [*range(12)], [0, 1] * 6)
        assert_refused(message, settings("parquet", tmp_path))

    def name_classes(self, path: Path, names: list[str]) -> None:
        described = {"info": {"features": {"label": {"names": names}}}}
        table = parquet.read_table(path)
        parquet.write_table(
            table.replace_schema_metadata({"huggingface": json.dumps(described)}), path
        )

    def test_classes_are_matched_by_name(self, tmp_path: Path) -> None:
        self.name_classes(
            write_shard(tmp_path / "train.parquet", [*range(12)], [0, 1, 2] * 4),
            ["ant", "bee", "cat"],
        )
        self.name_classes(
            write_shard(tmp_path / "test.parquet", [100, 101], [0, 1]), ["ant", "cat"]
        )
        wanted = settings("parquet", tmp_path)
        assert load(wanted).classes == ("ant", "bee", "cat")
        assert sorted(load_test(wanted).labels.tolist()) == [0, 2]
        self.name_classes(tmp_path / "test.parquet", ["ant", "dog"])
        assert_refused(
            "class 'dog' is not among those to train with, ant, bee, cat",
            wanted,
            load_test,
        )

    def test_labels_may_be_texts(self, tmp_path: Path) -> None:
        write_shard(tmp_path / "train-0.parquet", [*range(12)], ["cat", "dog"] * 6)
        write_shard(tmp_path / "train-1.parquet", [12, 13], ["ant", "ant"])
        write_shard(tmp_path / "test.parquet", [100, 101], ["dog", "ant"])
        wanted = settings("parquet", tmp_path)
        dataset = load(wanted)
        assert dataset.classes == ("ant", "cat", "dog")
        for part in (dataset.train, dataset.validation):
            for image, label in zip(part.images, part.labels, strict=True):
                number = int(image[0, 0, 0])
                expected = "ant" if number > 11 else ("cat", "dog")[number % 2]
                assert dataset.classes[label] == expected
        assert load_test(wanted).labels.sort().values.tolist() == [0, 2]
        write_shard(tmp_path / "test.parquet", [100, 101], ["dog", None])
        assert_refused("label None in row 1; others are texts", wanted, load_test)

    @pytest.mark.parametrize(
        "kind", [pa.binary_view(), pa.dictionary(pa.int32(), pa.binary())], ids=str
    )
    def test_other_columns_of_bytes_are_images(
        self, tmp_path: Path, kind: pa.DataType
    ) -> None:
        content = pa.array([encoded(number) for number in range(12)], pa.binary()).cast(
            kind
        )
        parquet.write_table(
            pa.table({"image": content, "label": [0, 1] * 6}),
            tmp_path / "train.parquet",
        )
        files = find_files("parquet", tmp_path)
        assert files.test == []
        wanted = settings("parquet", tmp_path)
        parts = load(wanted).train, load(wanted).validation, load_test(wanted)
        assert sorted(number for part in parts for number in numbers(part)) == [
            *range(12)
        ]
