"""Where people put their images: which split and class each is of, and what is said of the rest."""

from __future__ import annotations

import json
import os
import pickle
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from evaluators import DataSettings, load, load_test
from evaluators.data.files.sources import find_files
from tests.evaluators.data.image_files import (
    assert_refused,
    encoded,
    numbers,
    picture,
    settings,
    write_cifar,
    write_folder,
    write_shard,
)

pytestmark = pytest.mark.usefixtures("cache")


class TestFolders:
    @pytest.mark.parametrize("train", ["train", "Train", "TRAIN", "training"])
    @pytest.mark.parametrize("test", ["test", "valid", "Val", "testing", "dev"])
    def test_splits_by_any_of_their_names(
        self, tmp_path: Path, train: str, test: str
    ) -> None:
        write_folder(tmp_path / train)
        write_folder(tmp_path / test, each=2, first=100)
        wanted = settings("imagefolder", tmp_path)
        assert sorted(
            numbers(load(wanted).train) + numbers(load(wanted).validation)
        ) == [*range(24)]
        assert numbers(load_test(wanted)) == [*range(100, 106)]

    def test_a_test_folder_without_train_is_no_class(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "test")
        write_folder(tmp_path / "valid")
        assert_refused("holds test and no train", settings("imagefolder", tmp_path))

    def test_an_archive_in_a_folder_of_its_own_name(self, tmp_path: Path) -> None:
        """As unpacked, with what macOS adds."""
        write_folder(tmp_path / "data" / "train" / "train")
        write_folder(tmp_path / "data" / "test", each=2, first=100)
        write_folder(tmp_path / "__MACOSX" / "data" / "train", classes=1)
        wanted = settings("imagefolder", tmp_path)
        assert len(load(wanted).train.labels) == 18
        assert numbers(load_test(wanted)) == [*range(100, 106)]

    @pytest.mark.parametrize(
        ("train", "test"),
        [("seg_train", "seg_test"), ("ILSVRC2012_img_train", "ILSVRC2012_img_val")],
    )
    def test_splits_by_a_part_of_their_names(
        self, tmp_path: Path, train: str, test: str
    ) -> None:
        """Kaggle's Intel scenes and ImageNet; a third folder says nothing."""
        write_folder(tmp_path / train)
        write_folder(tmp_path / test, each=2, first=100)
        write_folder(tmp_path / "seg_pred", classes=1)
        wanted = settings("imagefolder", tmp_path)
        assert len(load(wanted).train.labels) == 18
        assert numbers(load_test(wanted)) == [*range(100, 106)]

    @pytest.mark.parametrize("train", [True, False])
    def test_a_split_without_folders_of_classes(
        self, tmp_path: Path, train: bool
    ) -> None:
        """ImageNet's val as it is downloaded; or train and test taken for two classes."""
        root = write_folder(tmp_path / "train" if train else tmp_path / "other")
        flat = tmp_path / "root" / "val"
        flat.mkdir(parents=True)
        (root if train else root / "class0").rename(tmp_path / "root" / "train")
        (flat / "1.png").write_bytes(encoded(1))
        assert_refused(
            f"{flat if train else flat.with_name('train')}: needs a folder of images",
            settings("imagefolder", tmp_path / "root"),
        )

    def test_a_class_called_train(self, tmp_path: Path) -> None:
        for name in ("car", "ship", "train"):
            write_folder(tmp_path / name / "sunny", classes=1, each=4)
        assert_refused(
            "holds train and car; if train is the images to train with, name",
            settings("imagefolder", tmp_path),
        )
        for name in ("car", "ship", "train"):
            (tmp_path / name / "sunny" / "class0").rename(tmp_path / name / "rain")
            (tmp_path / name / "sunny").rmdir()
        for path in [*tmp_path.glob("*/rain/*")]:
            path.rename(path.parents[1] / path.name)
        for name in ("car", "ship", "train"):
            (tmp_path / name / "rain").rmdir()
        assert load(settings("imagefolder", tmp_path)).classes == (
            "car",
            "ship",
            "train",
        )

    def test_accents_are_the_same_however_they_are_written(
        self, tmp_path: Path
    ) -> None:
        """macOS writes two characters, others one."""
        for part, form in (("train", "NFC"), ("test", "NFD")):
            write_folder(tmp_path / part)
            name = unicodedata.normalize(form, "caf\xe9")
            (tmp_path / part / "class1").rename(tmp_path / part / name)
        wanted = settings("imagefolder", tmp_path)
        assert load(wanted).classes == ("caf\xe9", "class0", "class2")
        assert load_test(wanted).labels.bincount().tolist() == [8, 8, 8]

    def test_one_split_twice(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "train")
        write_folder(tmp_path / "training")
        assert_refused(
            "holds train and training; which is train?",
            settings("imagefolder", tmp_path),
        )

    def test_sub_folders_count_as_in_torchvision(self, tmp_path: Path) -> None:
        """``torchvision.datasets.folder.make_dataset`` walks them, links followed."""
        root = write_folder(tmp_path / "mine", classes=2)
        deep = root / "class0" / "summer" / "july"
        deep.mkdir(parents=True)
        (deep / "200.png").write_bytes(encoded(200))
        (deep / "round").symlink_to(root / "class0")
        walked = [
            Path(folder) / name
            for label in ("class0", "class1")
            for folder, _, names in os.walk(root / label)
            for name in names
        ]
        wanted = settings("imagefolder", root)
        parts = [
            *numbers(load(wanted).train),
            *numbers(load(wanted).validation),
            *numbers(load_test(wanted)),
        ]
        assert len(parts) == len(walked) == 17
        assert 200 in parts

    def test_what_pillow_reads_is_read_and_the_rest_is_counted(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        root = write_folder(tmp_path / "mine", classes=2)
        picture(50).save(root / "class0" / "a.jfif", "JPEG")
        picture(51).save(root / "class0" / "a.avif")
        picture(52).save(root / "class0" / "a.jp2")
        for name in ("a.heic", "b.heic", "notes.txt", "README"):
            (root / "class1" / name).write_text("no image")
        load(settings("imagefolder", root))
        assert len(caplog.messages) == 2
        assert "19 images of 2 classes; passed over" in caplog.text
        assert "2 .heic, 1 without a suffix, 1 .txt" in caplog.text

    def test_a_class_whose_name_no_file_can_hold(self, tmp_path: Path) -> None:
        write_folder(tmp_path / "mine")
        latin = os.fsdecode(b"caf\xe9")
        (tmp_path / "mine" / "class2").rename(tmp_path / "mine" / latin)
        assert_refused(
            "has a name that is not UTF-8; rename it",
            settings("imagefolder", tmp_path / "mine"),
        )

    def test_a_class_of_few_keeps_one_to_train_with(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for label, count in enumerate((300, 3, 2)):
            (tmp_path / f"class{label}").mkdir()
            for number in range(count):
                content = encoded(number % 250, side=2)
                (tmp_path / f"class{label}" / f"{number}.png").write_bytes(content)
        dataset = load(settings("imagefolder", tmp_path))
        assert dataset.train.labels.bincount(minlength=3).min() >= 1
        assert "too few images of class2 to have one for validation" in caplog.text


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


def test_a_hundred_unreadable_files_are_a_few_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_folder(tmp_path / "mine", classes=2, each=100, side=2)
    for path in [*(root / "class0").iterdir()][:60]:
        path.write_text("no image")
    load(settings("imagefolder", root, max_corrupt=0.9))
    assert len([line for line in caplog.messages if "left out" in line]) == 6
    with pytest.raises(ValueError, match="images cannot be read"):
        load(settings("imagefolder", root))


def test_a_grey_image_larger_than_the_rest_is_no_surprise(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "mine", mode="L")
    Image.new("L", (80, 60), 77).save(root / "class0" / "large.png")
    assert load(settings("imagefolder", root, resolution=8)).task.channels == 1
