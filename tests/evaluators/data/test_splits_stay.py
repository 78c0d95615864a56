"""A picture stays on its side, whatever happens to the files around it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluators import DataSettings, load, load_test
from tests.evaluators.data.image_files import (
    encoded,
    numbers,
    settings,
    write_folder,
    write_shard,
)

pytestmark = pytest.mark.usefixtures("cache")


def parts_of(wanted: DataSettings) -> list[list[int]]:
    """Numbers of the pictures to train, validate and test with."""
    dataset = load(wanted)
    return [
        numbers(part) for part in (dataset.train, dataset.validation, load_test(wanted))
    ]


class TestSplitsStay:
    @pytest.mark.parametrize("seed", range(2))
    def test_one_file_more_moves_one_across_a_border(
        self, tmp_path: Path, seed: int
    ) -> None:
        root = write_folder(tmp_path / "mine", classes=4, each=20)
        wanted = settings("imagefolder", root, split_seed=seed)
        before = parts_of(wanted)
        (root / "class2" / f"new{seed}.png").write_bytes(encoded(200 + seed))
        after = parts_of(wanted)
        train, validation, test = (
            {*old} ^ {*new} - {200 + seed}
            for old, new in zip(before, after, strict=True)
        )
        assert len(test) <= 1
        assert len(train | validation | test) <= 2

    def test_names_places_and_shards_move_nothing(self, tmp_path: Path) -> None:
        root = write_folder(tmp_path / "first")
        wanted = settings("imagefolder", root)
        before, content = parts_of(wanted), load(wanted).content
        root = root.rename(tmp_path / "second")
        for path in [*root.rglob("*.png")]:
            path.rename(path.with_name(f"IMG_{997 - 7 * int(path.stem)}.png"))
        wanted = settings("imagefolder", root)
        assert parts_of(wanted) == before
        assert load(wanted).content == content
        for shards in (1, 3):
            folder = tmp_path / f"in {shards}"
            for shard in range(shards):
                part = [*range(shard, 24, shards)]
                labels = [number // 8 for number in part]
                write_shard(folder / f"train-{shard}.parquet", part, labels)
            assert parts_of(settings("parquet", folder)) == before
        dataset = load(wanted)
        labels = torch.cat([dataset.train.labels, dataset.validation.labels])
        assert [*content["images"].values()] == labels.bincount().tolist()

    def test_copies_are_never_trained_on_and_tested_with(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """People copy pictures to balance classes, and data sets hold some twice."""
        root = write_folder(tmp_path / "mine", classes=2, each=20)
        for path in [*root.rglob("*.png")]:
            path.with_name(f"copy of {path.name}").write_bytes(path.read_bytes())
        with caplog.at_level("INFO", "splitsearch.data"):
            train, validation, test = map(set, parts_of(settings("imagefolder", root)))
        assert len(train | validation | test) == len(train) + len(validation) + len(
            test
        )
        assert "40 of 80 images are copies of others" in caplog.text
        (root / "class1" / "0.png").write_bytes(encoded(0))
        load(settings("imagefolder", root))
        assert "1 images lie in two classes, such as one of class0 and" in caplog.text

    def test_copies_in_the_test_folder_are_told(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "test", each=2, first=7)
        load_test(settings("imagefolder", tmp_path))
        assert "6 of the 6 test images are copies of images to train with" in (
            caplog.text
        )

    def test_the_same_process_sees_what_has_changed_and_only_that(
        self, tmp_path: Path, cache: Path
    ) -> None:
        root = write_folder(tmp_path / "mine")
        wanted = settings("imagefolder", root)
        first = load(wanted)
        (root / "class0" / ".DS_Store").write_bytes(b"x")
        (root / ".DS_Store").write_bytes(b"x")
        (root / "class0" / "notes.txt").write_bytes(b"x")
        assert load(wanted) is first
        (root / "class0" / "0.png").write_bytes(encoded(222))
        parts = load(wanted).train, load(wanted).validation, load_test(wanted)
        assert 222 in [number for part in parts for number in numbers(part)]
        assert load(wanted).content["digest"] != first.content[
            "digest"
        ] or 222 in numbers(parts[2])
